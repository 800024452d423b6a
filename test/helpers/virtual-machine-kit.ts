/**
 * What virtual machines of tests boot: Debian's kernel, fetched once with apt and never installed, and a small initramfs of
 * busybox, the modules and a few programs, whose init runs the test's script. Both stay in a cache directory
 * (OSUPD_TEST_CACHE, else ~/.cache/osupd-test). Needs root for apt, and busybox-static kmod cpio fsverity e2fsprogs xz-utils.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { sha256Of } from '../../src/core/sha256.ts';

export interface MachineKit {
  /** The kernel's version, as `uname -r` says it. */
  readonly version: string;
  readonly kernel: string;
  /** The initramfs whose init runs `/job/run`; a second archive brings that. */
  readonly initramfs: string;
  /** The unpacked package: `lib/modules/VERSION` and `boot` are in it. */
  readonly tree: string;
}

/** Packages whose dependency is the kernel, the preferred first; it needs EROFS, fs-verity and data-only layers (6.6). */
const KERNELS = ['linux-image-6.12-cloud-amd64', 'linux-image-cloud-amd64'];
/** What is no part of this kernel's image; with what these need. */
const MODULES = ['virtio_blk', 'virtio_net', 'erofs', 'overlay', 'loop', 'vfat', 'nls_cp437', 'nls_ascii', 'efivarfs'];
const PROGRAMS = ['fsverity', 'mkfs.ext4', 'e2fsck', 'getfattr', 'setfattr'];

/** The script's shell is process 1 itself, so that it can `exec switch_root`. */
const INIT = `#!/bin/busybox sh
export PATH=/usr/bin:/usr/sbin:/bin:/sbin
mount -t devtmpfs dev /dev; mount -t proc proc /proc; mount -t sysfs sys /sys
mount -t tmpfs tmp /tmp; mount -t tmpfs run /run
while read -r module; do insmod "/modules/$module"; done </modules/order
trap 'status=$?; sync; echo "MACHINE-EXIT:$status"; poweroff -f' EXIT
echo "MACHINE-UP"
cd /job
. ./run
`;

/** The kit, made when the cache does not have it. Processes may ask at the same time. */
export function machineKit(): MachineKit {
  const cache = process.env.OSUPD_TEST_CACHE ?? join(homedir(), '.cache/osupd-test');
  const tree = kernelTree(cache);
  const version = readdirSync(join(tree, 'lib/modules'))[0] ?? '';
  const recipe = sha256Of(Buffer.from([INIT, version, ...MODULES, ...PROGRAMS].join('\n'))).slice(0, 12);
  const base = once(join(cache, `initramfs-${version}-${recipe}`), (directory) =>
    makeInitramfs(tree, version, join(directory, 'initramfs.gz')),
  );
  return { version, kernel: join(tree, 'boot', `vmlinuz-${version}`), initramfs: join(base, 'initramfs.gz'), tree };
}

function kernelTree(cache: string): string {
  const found = existsSync(cache) ? readdirSync(cache).filter((name) => name.startsWith('linux-image-')) : [];
  const known = found.sort().at(-1);
  if (known !== undefined) return join(cache, known);
  const name = kernelPackage();
  return once(join(cache, name), (directory) => {
    execFileSync('apt-get', ['download', '-q', name], { cwd: directory, stdio: ['ignore', 'ignore', 'pipe'] });
    const archive = readdirSync(directory).find((file) => file.endsWith('.deb')) ?? '';
    execFileSync('dpkg-deb', ['-x', archive, '.'], { cwd: directory });
    rmSync(join(directory, archive));
    execFileSync('depmod', ['-b', directory, readdirSync(join(directory, 'lib/modules'))[0] ?? '']);
  });
}

function kernelPackage(): string {
  for (const meta of KERNELS) {
    const { stdout } = spawnSync('apt-cache', ['depends', meta], { encoding: 'utf8' });
    const name = /Depends: (linux-image-\d\S*)/.exec(stdout)?.[1];
    if (name !== undefined) return name;
  }
  throw new Error(`apt knows none of ${KERNELS.join(', ')}: run apt-get update`);
}

/** Makes a directory under another name first, so that one that has the name is complete. */
function once(path: string, make: (directory: string) => void): string {
  if (existsSync(path)) return path;
  mkdirSync(dirname(path), { recursive: true });
  const directory = mkdtempSync(join(dirname(path), '.new-'));
  chmodSync(directory, 0o755);
  make(directory);
  try {
    renameSync(directory, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOTEMPTY') throw error;
    // Another process was faster.
    rmSync(directory, { recursive: true });
  }
  return path;
}

function makeInitramfs(tree: string, version: string, path: string): void {
  const root = mkdtempSync(join(dirname(path), 'root-'));
  chmodSync(root, 0o755);
  for (const name of ['bin', 'dev', 'proc', 'sys', 'tmp', 'run', 'mnt', 'etc', 'modules', 'usr/bin'])
    mkdirSync(join(root, name), { recursive: true });
  copyFileSync('/bin/busybox', join(root, 'bin/busybox'));
  const applets = execFileSync('/bin/busybox', ['--list'], { encoding: 'utf8' }).trim().split('\n');
  for (const applet of applets) if (applet !== 'busybox') symlinkSync('busybox', join(root, 'bin', applet));
  const modules = new Set(MODULES.flatMap((name) => moduleFiles(tree, version, name)));
  for (const file of modules)
    writeFileSync(
      join(root, 'modules', basename(file, '.xz')),
      file.endsWith('.xz') ? unpacked(file) : readFileSync(file),
    );
  writeFileSync(join(root, 'modules/order'), [...modules].map((file) => `${basename(file, '.xz')}\n`).join(''));
  for (const program of PROGRAMS) addProgram(root, program);
  // util-linux has the name `mount.ul`, busybox's mount is `mount`.
  addProgram(root, 'mount', 'mount.ul');
  writeFileSync(join(root, 'init'), INIT, { mode: 0o755 });
  writeFileSync(path, archiveOf(root));
  rmSync(root, { recursive: true });
}

/** A module and what it needs, in the order of loading; nothing for one that is built in. */
function moduleFiles(tree: string, version: string, name: string): string[] {
  const text = execFileSync('modprobe', ['-S', version, '-d', tree, '--show-depends', name], { encoding: 'utf8' });
  return text.split('\n').flatMap((line) => /^insmod (\S+)/.exec(line)?.[1] ?? []);
}

function unpacked(file: string): Buffer {
  return execFileSync('xz', ['-dc', file], { maxBuffer: 1 << 28 });
}

/** Copies a program, with the libraries it needs, to `usr/bin` of a tree. */
function addProgram(root: string, program: string, name = program): void {
  const file = execFileSync('sh', ['-c', `command -v ${program}`], { encoding: 'utf8' }).trim();
  mkdirSync(join(root, 'usr/bin'), { recursive: true });
  copyFileSync(file, join(root, 'usr/bin', name));
  const libraries = spawnSync('ldd', [file], { encoding: 'utf8' }).stdout.match(/\/\S+/g) ?? [];
  for (const library of libraries) {
    const target = join(root, library);
    if (existsSync(target)) continue;
    mkdirSync(dirname(target), { recursive: true });
    copyFileSync(library, target);
  }
}

/** A directory as an initramfs archive, packed with gzip. */
export function archiveOf(directory: string): Buffer {
  return execFileSync('sh', ['-c', 'find . | cpio -o -H newc --quiet -R 0:0 | gzip -1'], {
    cwd: directory,
    maxBuffer: 1 << 29,
  });
}
