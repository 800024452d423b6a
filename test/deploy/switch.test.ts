import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, closeSync, existsSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterEach, beforeAll, expect, it } from 'vitest';
import { readLinks } from '../../src/deploy/links.ts';
import { attachedStack, unmountStack } from '../../src/deploy/live.ts';
import { fsverityDigest } from '../../src/objects/fsverity.ts';
import { readMounts } from '../../src/sys/mountinfo.ts';
import { TestDevice } from '../helpers/device.ts';
import { enterMountNamespace } from '../helpers/mount-namespace.ts';
import { describeWith } from '../helpers/requirements.ts';
import { jsonOf, runCommand } from '../helpers/run-command.ts';
import { longText } from '../helpers/stack.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';

const directory = temporaryDirectory();

/** A tree that says its version in an object and inline. */
function tree(version: number) {
  return { 'usr/bin/program': longText(`program ${version}`), 'etc/version': `${version}`, [`only/${version}`]: 'x' };
}

async function deviceWith(versions: number): Promise<{ device: TestDevice; ids: string[] }> {
  const device = await TestDevice.create(directory);
  const ids: string[] = [];
  for (let version = 1; version <= versions; version++) {
    ids.push((await device.deploy([device.image('os', `${version}`, tree(version))])).id);
    if (version < versions) await osupd(device, 'switch');
  }
  return { device, ids };
}

async function osupd(device: TestDevice, ...args: string[]): Promise<string> {
  const { status, stdout, stderr } = await runCommand([...args, '--root', device.directory]);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return stdout;
}

function refused(device: TestDevice, ...args: string[]): Promise<{ status: number; stderr: string; stdout: string }> {
  return runCommand([...args, '--root', device.directory]);
}

function versionAt(mountpoint: string): string {
  const version = readFileSync(join(mountpoint, 'etc/version'), 'utf8');
  expect(readFileSync(join(mountpoint, 'usr/bin/program'), 'utf8')).toBe(longText(`program ${version}`));
  return version;
}

describeWith(['root'], 'switching a real stack', () => {
  beforeAll(() => enterMountNamespace());
  afterEach(() => {
    for (const { mountpoint } of readMounts().reverse()) {
      if (mountpoint.startsWith(directory)) unmountStack(mountpoint, { lazy: true });
    }
  });

  it('the first deployment appears at a mountpoint that is made for it', async () => {
    const { device, ids } = await deviceWith(1);
    expect(existsSync(device.mountpoint)).toBe(false);
    expect(await osupd(device, 'switch')).toBe(`system: ${device.mountpoint} shows ${ids[0]} (os 1)\n`);
    expect(versionAt(device.mountpoint)).toBe('1');
    expect(attachedStack(device.mountpoint)?.identity).toEqual({ stack: 'system', deployment: ids[0] });
    expect(readLinks(device.root, 'system')).toEqual({ current: ids[0] });
  });

  it('the next one takes its place, and who has the old one open keeps it', async () => {
    const { device, ids } = await deviceWith(2);
    const open = openSync(join(device.mountpoint, 'usr/bin/program'), 'r');
    expect(await jsonOf(['switch', '--root', device.directory])).toEqual({
      dryRun: false,
      changes: [
        {
          stack: 'system',
          mountpoint: device.mountpoint,
          from: ids[0],
          to: ids[1],
          images: [{ name: 'os', version: '2', digest: expect.stringMatching(/^[0-9a-f]{64}$/) }],
        },
      ],
    });
    expect(versionAt(device.mountpoint)).toBe('2');
    expect(readdirSync(join(device.mountpoint, 'only'))).toEqual(['2']);
    expect(readFileSync(open, 'utf8')).toBe(longText('program 1'));
    closeSync(open);
    expect(readLinks(device.root, 'system')).toEqual({ current: ids[1], rollback: ids[0] });
  });

  it('a rollback goes back, a second one returns', async () => {
    const { device, ids } = await deviceWith(2);
    await osupd(device, 'switch');
    await osupd(device, 'rollback');
    expect(versionAt(device.mountpoint)).toBe('1');
    expect(readLinks(device.root, 'system')).toEqual({ current: ids[0], rollback: ids[1] });
    await osupd(device, 'rollback', 'system');
    expect(versionAt(device.mountpoint)).toBe('2');
    expect(readLinks(device.root, 'system')).toEqual({ current: ids[1], rollback: ids[0] });
  });

  it('a rollback to any deployment by its number', async () => {
    const { device, ids } = await deviceWith(3);
    await osupd(device, 'switch');
    await osupd(device, 'rollback', '--to', '1');
    expect(versionAt(device.mountpoint)).toBe('1');
    expect(readLinks(device.root, 'system')).toEqual({ current: ids[0], rollback: ids[2] });
    expect((await refused(device, 'rollback', '--to', 'current')).status).toBe(3);
    expect((await refused(device, 'rollback', '--to', '9')).status).toBe(5);
  });

  it('several images show as one tree', async () => {
    const device = await TestDevice.create(directory);
    const os = device.image('os', '1', tree(1));
    const app = device.image('kiosk', '7', { 'usr/bin/kiosk': longText('kiosk'), 'etc/kiosk': 'on' });
    await device.deploy([app, os]);
    await osupd(device, 'switch');
    expect(versionAt(device.mountpoint)).toBe('1');
    expect(readdirSync(join(device.mountpoint, 'usr/bin')).sort()).toEqual(['kiosk', 'program']);
  });

  it('nothing to do is exit status 3', async () => {
    const { device } = await deviceWith(1);
    await osupd(device, 'switch');
    expect(await refused(device, 'switch')).toMatchObject({ status: 3 });
    expect((await refused(device, 'rollback')).status).toBe(5);
  });

  it('--dry-run says what would be done and changes nothing', async () => {
    const { device, ids } = await deviceWith(1);
    expect(await osupd(device, 'switch', '--dry-run')).toBe(
      `system: ${device.mountpoint} would show ${ids[0]} (os 1)\n`,
    );
    expect(existsSync(device.mountpoint)).toBe(false);
    expect(readLinks(device.root, 'system')).toEqual({ next: ids[0] });
  });

  it('an object that is missing or cut keeps the old deployment in use, and the error names it', async () => {
    const { device, ids } = await deviceWith(2);
    const object = device.root.pool.objectPath(fsverityDigest(Buffer.from(longText('program 2'))));
    const expectRefusal = async (...args: string[]) => {
      const { status, stderr } = await refused(device, 'switch', ...args, '--json');
      expect(status).toBe(10);
      expect(JSON.parse(stderr)).toMatchObject({
        error: { code: 'damaged-store', where: object, remedy: 'run osupd fsck --repair' },
      });
      expect(versionAt(device.mountpoint)).toBe('1');
      expect(readLinks(device.root, 'system')).toEqual({ current: ids[0], next: ids[1] });
    };
    writeFileSync(object, longText('program X'));
    await expectRefusal('--verify');
    writeFileSync(object, 'short');
    await expectRefusal();
    rmSync(object);
    await expectRefusal();
  });

  it('what cannot be attached changes nothing', async () => {
    const { device, ids } = await deviceWith(2);
    writeFileSync(join(device.directory, 'file'), '');
    device.configure(`[stack.system]\nmountpoint = "${device.directory}/file"\n`);
    const { status, stderr } = await refused(device, 'switch');
    expect({ status, stderr }).toMatchObject({ status: 2, stderr: expect.stringContaining('not a directory') });
    expect(readLinks(device.root, 'system')).toEqual({ current: ids[0], next: ids[1] });
    expect(versionAt(device.mountpoint)).toBe('1');
  });

  it('a stack that switches at the start of the machine is left alone, except with --live', async () => {
    const { device, ids } = await deviceWith(1);
    device.configure(`[stack.system]\nmountpoint = "${device.mountpoint}"\nswitch = "boot"\n`);
    for (const args of [['switch'], ['switch', '--dry-run'], ['switch', 'system']]) {
      const { status, stderr } = await refused(device, ...args);
      expect({ status, stderr }).toMatchObject({
        status: 5,
        stderr: expect.stringContaining('no boot partition is mounted'),
      });
    }
    expect(readLinks(device.root, 'system')).toEqual({ next: ids[0] });
    await osupd(device, 'switch', '--live');
    expect(versionAt(device.mountpoint)).toBe('1');
    expect((await refused(device, 'switch')).status).toBe(3);
  });

  it('/ is never switched live', async () => {
    const { device } = await deviceWith(1);
    device.configure('[stack.system]\nmountpoint = "/"\nswitch = "boot"\n');
    expect((await refused(device, 'switch')).status).toBe(5);
    expect((await refused(device, 'switch', '--live')).status).toBe(9);
  });

  it('of several stacks none is switched when one cannot be', async () => {
    const device = await TestDevice.create(directory);
    const [a, b] = [join(device.directory, 'mnt/a'), join(device.directory, 'mnt/b')];
    device.configure(`[stack.a]\nmountpoint = "${a}"\n[stack.b]\nmountpoint = "${b}"\nswitch = "boot"\n`);
    await device.deploy([device.image('os', '1', tree(1))], 'a');
    await device.deploy([device.image('os', '2', tree(2))], 'b');
    expect((await refused(device, 'switch')).status).toBe(5);
    expect(existsSync(a)).toBe(false);
    await osupd(device, 'switch', '--live');
    expect([versionAt(a), versionAt(b)]).toEqual(['1', '2']);
  });

  it('activate shows the current deployments after a start of the machine, and does nothing where they show', async () => {
    const { device, ids } = await deviceWith(2);
    await osupd(device, 'switch');
    unmountStack(device.mountpoint);
    expect(await osupd(device, 'activate')).toBe(`system: ${device.mountpoint} shows ${ids[1]} (os 2)\n`);
    expect(versionAt(device.mountpoint)).toBe('2');
    expect(await osupd(device, 'activate')).toBe('');
    expect(readLinks(device.root, 'system')).toEqual({ current: ids[1], rollback: ids[0] });
  });

  it('activate shows what it can, and reports what it cannot', async () => {
    const device = await TestDevice.create(directory);
    const [a, b] = [join(device.directory, 'mnt/a'), join(device.directory, 'mnt/b')];
    device.configure(`[stack.a]\nmountpoint = "${a}"\n[stack.b]\nmountpoint = "${b}"\n`);
    for (const stack of ['a', 'b']) await device.deploy([device.image('os', stack, tree(stack.charCodeAt(0)))], stack);
    await osupd(device, 'switch');
    for (const path of [a, b]) unmountStack(path);
    rmSync(device.root.pool.imagePath(device.image('os', 'a', tree(97)).digest));
    expect((await refused(device, 'activate')).status).toBe(10);
    expect(versionAt(b)).toBe('98');
  });

  it('a stack that is not configured is not found, whatever its name', async () => {
    const { device, ids } = await deviceWith(1);
    for (const name of ['switch', 'rollback', 'activate']) {
      for (const stack of ['other', '../objects', '..', '']) {
        const { status, stderr } = await refused(device, name, stack);
        expect({ status, stderr }).toMatchObject({ status: 5, stderr: expect.stringContaining('configured: system') });
      }
    }
    for (const name of ['pin', 'unpin', 'undeploy', 'diff']) {
      for (const text of ['../objects/1', '../../x', `other/${ids[0]}`])
        expect((await refused(device, name, text)).status).toBe(5);
    }
    expect(await osupd(device, 'switch')).toContain('shows');
  });

  it('without root it is not supported, and changes nothing', async () => {
    const { device, ids } = await deviceWith(1);
    const nobody = 65534;
    chmodSync(directory, 0o755);
    execFileSync('chown', ['-R', `${nobody}:${nobody}`, device.directory]);
    const main = JSON.stringify(resolve(import.meta.dirname, '../../src/cli/main.ts'));
    const code = ['--input-type=module', '-e', `import { main } from ${main}; await main();`];
    const { status, stderr } = spawnSync(process.execPath, [...code, 'osupd', 'switch', '--root', device.directory], {
      uid: nobody,
      gid: nobody,
      encoding: 'utf8',
    });
    expect({ status, stderr }).toMatchObject({ status: 9, stderr: expect.stringContaining('run it as root') });
    expect(readLinks(device.root, 'system')).toEqual({ next: ids[0] });
    expect(existsSync(device.mountpoint)).toBe(false);
  });

  it('every change waits its turn: exit status 8 while another osupd works', async () => {
    const { device, ids } = await deviceWith(2);
    const lock = device.root.lock();
    for (const args of [['switch'], ['rollback'], ['activate'], ['pin', '1'], ['unpin', '1'], ['undeploy', '2']])
      expect((await refused(device, ...args)).status, args[0]).toBe(8);
    expect(await osupd(device, 'status')).toContain(ids[1]);
    lock.release();
  });
});
