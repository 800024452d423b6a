import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { Pool } from '../../src/objects/pool.ts';
import { describeWith } from '../helpers/requirements.ts';
import { jsonOf, runCommand } from '../helpers/run-command.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';
import { LOADER, type SmallRepository, SYSTEM, smallRepository } from './small-system.ts';

const PROGRAM = resolve(import.meta.dirname, '../helpers/osupd-from-source.ts');
const MIB = 1 << 20;
const ESP_SECTORS = 300 * 2048;

const base = temporaryDirectory();
let repository: SmallRepository;

beforeAll(async () => {
  repository = await smallRepository(base, { 'os@1': SYSTEM, 'os@2': { ...SYSTEM, 'etc/hostname': 'two\n' } });
});

interface Installed {
  readonly deployment: string;
  readonly entry: string;
  readonly partitions: readonly { readonly uuid: string }[];
}

const newDisk = () => join(mkdtempSync(join(base, 'disk-')), 'disk.img');
const options = (disk: string, from = repository) => [
  ...[
    'install',
    '--disk',
    disk,
    '--url',
    'https://updates.example/os',
    '--from',
    from.directory,
    '--trust',
    from.trust,
  ],
  ...['--size', '620M', '--esp-size', '300M'],
];
const install = async (disk: string, ...more: string[]) => (await jsonOf([...options(disk), ...more])) as Installed;

/** What a program says, whatever its status. */
function said(program: string, ...args: string[]): string {
  const { stdout, stderr, status } = spawnSync(program, args, { encoding: 'utf8' });
  return `${stdout}${stderr}status ${status}`;
}

/** A partition as a file of its own. */
function partition(disk: string, number: 1 | 2): string {
  const { partitiontable } = JSON.parse(execFileSync('sfdisk', ['--json', disk], { encoding: 'utf8' }));
  const { start, size } = partitiontable.partitions[number - 1];
  const file = `${disk}-${number}`;
  rmSync(file, { force: true });
  const words = [`if=${disk}`, `of=${file}`, 'bs=1M', `skip=${start / 2048}`, `count=${size / 2048}`, 'conv=sparse'];
  execFileSync('dd', [...words, 'status=none']);
  return file;
}

const readEsp = (esp: string, path: string) =>
  execFileSync('mcopy', ['-i', esp, `::${path}`, '-'], { encoding: 'utf8' });
const readState = (state: string, path: string) =>
  execFileSync('debugfs', ['-R', `cat ${path}`, state], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });

describeWith(['root', 'sfdisk', 'mkfs.vfat', 'mkfs.ext4', 'mcopy', 'debugfs'], 'osupd install', () => {
  it('makes a disk with the partitions, file systems and files of a system', async () => {
    const disk = newDisk();
    const { deployment, entry, partitions } = await install(disk, '--argument', 'console=ttyS0', '--release', 'os@1');

    const table = execFileSync('sfdisk', ['--dump', disk], { encoding: 'utf8' });
    const [esp0 = { uuid: '' }] = partitions;
    expect(table.replaceAll(/= +/g, '=')).toContain(
      `start=2048, size=${ESP_SECTORS}, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, uuid=${esp0.uuid.toUpperCase()}, name="esp"`,
    );
    expect(table).toMatch(/type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709, .*name="state"/);
    expect(said('sfdisk', '--verify', disk)).toMatch(/No errors detected[\s\S]*status 0/);

    const esp = partition(disk, 1);
    expect(said('fsck.vfat', '-n', esp)).toMatch(/files, [\s\S]*status 0$/);
    const loader = SYSTEM[LOADER];
    expect(readEsp(esp, '/EFI/BOOT/BOOTX64.EFI')).toBe(loader);
    expect(readEsp(esp, '/EFI/systemd/systemd-bootx64.efi')).toBe(loader);
    expect(readEsp(esp, '/loader/loader.conf')).toContain('timeout 3\n');
    // Not counted: there is nothing to fall back to.
    expect(entry).toBe(`osupd-system-1-${deployment}.conf`);
    const text = readEsp(esp, `/loader/entries/${entry}`);
    const uuid = /root=UUID=(\S+) rw console=ttyS0$/m.exec(text)?.[1];
    expect(text).toMatch(new RegExp(`^options osupd\\.stack=system/${deployment}:[0-9a-f]{64} root=`, 'm'));
    for (const [key, name] of Object.entries({ linux: 'boot/vmlinuz-6.12', initrd: 'boot/initrd.img-6.12' }))
      expect(readEsp(esp, new RegExp(`^${key} (\\S+)$`, 'm').exec(text)?.[1] ?? '')).toBe(SYSTEM[name]);

    const state = partition(disk, 2);
    expect(said('e2fsck', '-fn', state)).toMatch(/status 0$/);
    expect(said('dumpe2fs', '-h', state)).toMatch(/features:.* verity[\s\S]*Block size:\s+4096/);
    expect(said('blkid', '-p', state)).toContain(`UUID="${uuid}"`);
    const root = '/var/lib/osupd';
    expect(JSON.parse(readState(state, `${root}/current/system/deployment.json`))).toMatchObject({ id: deployment });
    expect(said('debugfs', '-R', `stat ${root}/current/system`, state)).toContain(
      `../deployments/system/${deployment}`,
    );
    expect(said('debugfs', '-R', `stat ${root}/next/system`, state)).toContain('File not found');
    const upper = `${root}/etc/system/${deployment}/upper`;
    expect(readState(state, `${upper}/fstab`)).toContain(
      `PARTUUID=${esp0.uuid} /efi vfat umask=0077,nofail,x-systemd.before=osupd-mark-good.service 0 2\n`,
    );
    expect(readState(state, `${upper}/osupd/osupd.toml`)).toContain('url = "https://updates.example/os"');
    expect(readState(state, '/var/lib/dpkg/status')).toBe(SYSTEM['var/lib/dpkg/status']);
    for (const directory of ['home', 'root', 'srv'])
      expect(said('debugfs', '-R', `stat /${directory}`, state).includes('Type: directory'), directory).toBe(
        directory === 'home',
      );
  });

  it('makes a pool that has what the deployment needs, whole, and a device that knows the repository', async () => {
    const disk = newDisk();
    await install(disk);
    const place = mkdtempSync(join(base, 'state-'));
    execFileSync('debugfs', ['-R', `rdump /var/lib/osupd ${place}`, partition(disk, 2)], { stdio: 'ignore' });
    const device = join(place, 'osupd');
    writeFileSync(join(device, 'osupd.toml'), `url = "${repository.directory}"\n[stack.system]\nmountpoint = "/"\n`);
    await Pool.open(device);
    const { status, stderr } = await runCommand(['fsck', '--root', device]);
    expect(status, stderr).toBe(0);
    expect(await jsonOf(['check', '--root', device]).catch(({ message }) => message)).toMatch(/exit 3\n/);
  });

  it.each(['btrfs', 'xfs'])('makes the state a file system of %s', async (type) => {
    const disk = newDisk();
    await install(disk, '--file-system', type);
    const state = partition(disk, 2);
    expect(said('blkid', '-p', state)).toContain(`TYPE="${type}"`);
    expect(type === 'xfs' ? said('xfs_repair', '-n', state) : said('btrfs', 'check', state)).toMatch(/status 0$/);
  });

  it('begins anew where it was killed, and never leaves a partition table before it is done', async () => {
    const disk = newDisk();
    let unfinished = 0;
    for (const milliseconds of [0, 100, 300, 700, 1500]) {
      rmSync(disk, { force: true });
      const child = spawn(process.execPath, [PROGRAM, ...options(disk)], { stdio: 'ignore' });
      const ended = new Promise((done) => child.on('exit', done));
      while (!existsSync(disk) && child.exitCode === null) await sleep(5);
      await sleep(milliseconds);
      child.kill('SIGKILL');
      await ended;
      const table = said('sfdisk', '--dump', disk);
      if (child.signalCode === 'SIGKILL' && !table.includes('start=')) unfinished++;
      // Whole or not there.
      else expect(said('sfdisk', '--verify', disk)).toContain('No errors detected');
    }
    expect(unfinished).toBeGreaterThan(0);
    await install(disk, '--yes');
    expect(said('sfdisk', '--verify', disk)).toContain('No errors detected');
  });

  it('leaves a file that is not empty alone, unless it may be lost', async () => {
    const disk = newDisk();
    writeFileSync(disk, 'precious');
    truncateSync(disk, 620 * MIB);
    const { status, stderr } = await runCommand(options(disk));
    expect({ status, stderr }).toEqual({
      status: 2,
      stderr: `osupd: install: ${disk}: this is a file that is not empty: everything on it would be lost; give --yes if that is meant\n`,
    });
    expect(readFileSync(disk).subarray(0, 8).toString()).toBe('precious');
    await install(disk, '--yes');
  });

  it('refuses a disk that is in use', async () => {
    const disk = newDisk();
    writeFileSync(disk, '');
    truncateSync(disk, 620 * MIB);
    const device = execFileSync('losetup', ['--find', '--show', disk], { encoding: 'utf8' }).trim();
    try {
      expect(await runCommand([...options(disk), '--yes'])).toMatchObject({
        status: 8,
        stderr: expect.stringContaining(`the disk is in use: it is the loop device ${device.slice('/dev/'.length)}`),
      });
      expect(await runCommand(options(device))).toMatchObject({
        status: 2,
        stderr: expect.stringContaining('this is a disk of this machine: everything on it would be lost'),
      });
      // A block device is a disk like any other.
      expect((await install(device, '--yes')).deployment).toMatch(/^1-/);
      expect(said('sfdisk', '--verify', disk)).toContain('No errors detected');
    } finally {
      execFileSync('losetup', ['--detach', device]);
    }
  });

  it('says before it changes anything that a disk is too small, and by how much', async () => {
    const disk = newDisk();
    const { status, stderr } = await runCommand([...options(disk), '--size', '500M', '--json']);
    expect(status).toBe(7);
    const { error } = JSON.parse(stderr.split('\n').find((line) => line.startsWith('{"error"')) ?? '{}');
    expect(error.facts.size).toBe(500 * MIB);
    expect(error.facts.missing).toBe(error.facts.needed - 500 * MIB);
    expect(existsSync(disk)).toBe(false);
  });

  describe('an image that cannot be installed', () => {
    const without = (path: string) => Object.fromEntries(Object.entries(SYSTEM).filter(([name]) => name !== path));
    it.each([
      [
        'systemd-boot',
        LOADER,
        /the image has no systemd-boot; install it in the tree \(Debian: package systemd-boot-efi\)/,
      ],
      ['a kernel', 'boot/vmlinuz-6.12', /the image has no kernel/],
      ['a directory for the ESP', 'efi/', /no directory where the EFI system partition can be mounted/],
    ])('has not %s', async (_, path, line) => {
      // Without the directory /boot, too, which would do for the ESP.
      const system = path === 'efi/' ? withModules(without(path)) : without(path);
      const broken = await smallRepository(base, { 'os@1': system });
      const disk = newDisk();
      const { status, stderr } = await runCommand([...options(disk, broken), '--yes']);
      expect({ status, stderr }).toMatchObject({ status: 5, stderr: expect.stringMatching(line) });
      expect(existsSync(disk)).toBe(false);
    });
  });

  it('says that there is no repository, channel or release of that name', async () => {
    const disk = newDisk();
    const missing = { directory: join(base, 'nowhere'), trust: repository.trust };
    expect(await runCommand(options(disk, missing))).toMatchObject({ status: 6 });
    expect(await runCommand([...options(disk), '--channel', 'beta'])).toMatchObject({ status: 5 });
    expect(await runCommand([...options(disk), '--release', 'os@9'])).toMatchObject({ status: 5 });
    expect(await runCommand([...options(disk), '--release', 'app@1'])).toMatchObject({ status: 2 });
    expect(existsSync(disk)).toBe(false);
  });
});

/** The same system with its kernel where distributions without /boot have it. */
function withModules(system: Readonly<Record<string, string>>): Record<string, string> {
  const names: Readonly<Record<string, string>> = {
    'boot/vmlinuz-6.12': 'usr/lib/modules/6.12/vmlinuz',
    'boot/initrd.img-6.12': 'usr/lib/modules/6.12/initrd',
  };
  return Object.fromEntries(Object.entries(system).map(([name, content]) => [names[name] ?? name, content]));
}
