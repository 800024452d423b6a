/** File systems of other kinds than the one tests run on, as images on loop devices. Needs root. */
import { execFileSync } from 'node:child_process';
import { closeSync, ftruncateSync, mkdirSync, mkdtempSync, openSync } from 'node:fs';
import { join } from 'node:path';

/** mkfs with options for a small file system. */
const MAKE = {
  ext4: ['mkfs.ext4', '-q', '-b', '4096', '-O', 'verity'],
  xfs: ['mkfs.xfs', '-q', '-m', 'reflink=1'],
  btrfs: ['mkfs.btrfs', '-q'],
} as const;

const mounted: string[] = [];

/**
 * Mounts a new, empty file system below `directory`. Call it after `enterMountNamespace`, so that the mount is nobody
 * else's, and {@link unmountFileSystems} in the end.
 * @returns the mountpoint.
 */
export function mountFileSystem(directory: string, type: keyof typeof MAKE | 'tmpfs'): string {
  const base = mkdtempSync(join(directory, `${type}-`));
  const mountpoint = join(base, 'mnt');
  mkdirSync(mountpoint);
  if (type === 'tmpfs') execFileSync('mount', ['-t', 'tmpfs', 'osupd-test', mountpoint]);
  else {
    const image = join(base, 'image');
    const fd = openSync(image, 'w');
    ftruncateSync(fd, 400 << 20);
    closeSync(fd);
    const [program, ...options] = MAKE[type];
    execFileSync(program, [...options, image]);
    execFileSync('mount', ['-o', 'loop', image, mountpoint]);
  }
  mounted.push(mountpoint);
  return mountpoint;
}

/** Unmounts what {@link mountFileSystem} has mounted. */
export function unmountFileSystems(): void {
  for (const mountpoint of mounted.splice(0)) execFileSync('umount', ['-l', mountpoint]);
}
