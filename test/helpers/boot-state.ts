/** A state file system with a stack of two images, application over system, for virtual machines to boot. Needs root. */
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  writeSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { objectName } from '../../src/core/digest.ts';
import { sha256Of } from '../../src/core/sha256.ts';
import { fsverityDigest } from '../../src/objects/fsverity.ts';
import { TestDevice } from './device.ts';
import { longText, type NodeOptions } from './stack.ts';
import { runMachine } from './virtual-machine.ts';

const ROOT = 'var/lib/osupd';
const BLOCK = 4096;
/** Waits for the word of the initramfs that is being tested, then says what it sees, and writes where it may. */
const INIT = `#!/bin/busybox sh
export PATH=/bin
mount -t proc proc /proc 2>/dev/null
exec >/dev/console 2>&1
echo "SYSTEM-UP as process $$"
head -c 24 /usr/share/application; echo
head -c 24 /usr/share/of-both; echo
for file in /etc/of-system /etc/written /var/written /home/written /root/written /tmp/written /usr/written; do
  if echo written >"$file"; then echo "can write $file"; fi 2>/dev/null
done
cat /proc/self/mountinfo
sync
echo "MACHINE-EXIT:0"
poweroff -f
`.padEnd(9000, '#');

/** Where files of the stack are on the disk. */
interface BootState {
  readonly disk: string;
  /** Paths on the disk, without the first slash. */
  readonly deployment: string;
  readonly upper: string;
  readonly applicationImage: string;
  readonly systemImage: string;
  readonly initObject: string;
  /** The argument `osupd.stack=…`, and what it says. */
  readonly argument: string;
  readonly id: string;
}

/**
 * Makes the disk: ext4 with fs-verity, all objects and images sealed in a machine whose kernel can.
 * @param system more nodes of the lower image.
 */
export async function bootState(
  parent: string,
  system: Readonly<Record<string, NodeOptions>> = {},
): Promise<BootState> {
  const directory = mkdtempSync(join(parent, 'state-'));
  const device = await TestDevice.create(directory);
  const application = device.image('application', '1', {
    'usr/share/application': longText('of the application'),
    'usr/share/of-both': longText('from the application'),
  });
  const folders = ['dev', 'proc', 'sys', 'run', 'tmp', 'var', 'root', 'home', 'etc', 'mnt', 'usr/sbin', 'usr/lib'];
  const os = device.image('system', '1', {
    ...Object.fromEntries(folders.map((name): [string, NodeOptions] => [name, { type: 'directory' }])),
    // The links of Debian: /sbin/init leads to /lib/systemd/systemd.
    bin: { type: 'symlink', content: 'usr/bin' },
    sbin: { type: 'symlink', content: 'usr/sbin' },
    lib: { type: 'symlink', content: 'usr/lib' },
    'usr/bin/busybox': { content: readFileSync('/bin/busybox'), mode: 0o755 },
    ...Object.fromEntries(
      ['sh', 'mount', 'head', 'cat', 'sync', 'poweroff'].map((name): [string, NodeOptions] => [
        `usr/bin/${name}`,
        { type: 'symlink', content: 'busybox' },
      ]),
    ),
    'usr/sbin/init': { type: 'symlink', content: '/lib/systemd/systemd' },
    'usr/lib/systemd/systemd': { content: INIT, mode: 0o755 },
    'usr/share/of-both': { content: longText('from the system') },
    'etc/of-system': { content: longText('default') },
    'etc/os-release': { content: 'ID=osupd-test\nNAME="osupd test"\n' },
    ...system,
  });
  const { id } = await device.deploy([application, os]);
  const deployment = `${ROOT}/deployments/system/${id}`;
  const digest = sha256Of(readFileSync(join(device.directory, `deployments/system/${id}/stack`)));

  const tree = join(directory, 'tree');
  mkdirSync(join(tree, 'var/lib'), { recursive: true });
  renameSync(device.directory, join(tree, ROOT));
  mkdirSync(join(tree, ROOT, 'etc/system', id, 'upper'), { recursive: true });
  const disk = join(directory, 'disk');
  execFileSync('mkfs.ext4', ['-q', '-O', 'verity', '-b', String(BLOCK), '-d', tree, disk, '128M']);
  await seal(disk);
  return {
    disk,
    deployment,
    upper: `${ROOT}/etc/system/${id}/upper`,
    applicationImage: `${ROOT}/images/${application.digest}`,
    systemImage: `${ROOT}/images/${os.digest}`,
    initObject: `${ROOT}/objects/${objectName(fsverityDigest(Buffer.from(INIT)))}`,
    argument: `osupd.stack=system/${id}:${digest}`,
    id,
  };
}

async function seal(disk: string): Promise<void> {
  const { status, log } = await runMachine({
    disks: [disk],
    script: `set -e; mount -t ext4 /dev/vda /mnt; cd /mnt/${ROOT}
find objects images -type f | while read -r file; do fsverity enable "$file"; done; cd /; umount /mnt`,
  });
  if (status !== 0) throw new Error(`cannot seal the objects:\n${log}`);
}

/** A copy of a disk. */
export function copyDisk(disk: string): string {
  const copy = join(mkdtempSync(`${disk}-`), basename(disk));
  copyFileSync(disk, copy);
  return copy;
}

/** Changes one bit of a file where the file system and its fs-verity do not see it: on the disk. */
export function flipBit(disk: string, path: string, offset: number): void {
  const blocks = debugfs(disk, `blocks /${path}`).trim().split(/\s+/).map(Number);
  const position = (blocks[Math.floor(offset / BLOCK)] ?? 0) * BLOCK + (offset % BLOCK);
  if (position < BLOCK) throw new Error(`${path}: has no block at ${offset}`);
  const fd = openSync(disk, 'r+');
  const byte = Buffer.alloc(1);
  readSync(fd, byte, 0, 1, position);
  writeSync(fd, Buffer.of((byte[0] ?? 0) ^ 1), 0, 1, position);
  closeSync(fd);
}

/** Reads or changes a file system that is not mounted. */
export function debugfs(disk: string, command: string): string {
  return execFileSync('debugfs', ['-w', '-R', command, disk], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}
