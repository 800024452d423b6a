/**
 * Disks as image files that share their blocks: a copy of one, also while it is in use, costs a millisecond and is what a power cut at
 * that moment would leave, for the loop device's flushes have reached the file. Needs root, mkfs.xfs and mkfs.ext4; call it after
 * `enterMountNamespace`. Only synchronous calls of node:fs, and other processes, see the disks.
 */
import { execFileSync } from 'node:child_process';
import { closeSync, ftruncateSync, mkdirSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { reflink } from '../../src/sys/files.ts';

const SHELF_BYTES = 4 * 1024 ** 3;
const DISK_BYTES = 96 << 20;

export class Disks implements Disposable {
  /** Where the disk in use is mounted: always the same place, so that paths in configurations stay right. */
  readonly mountpoint: string;
  readonly #shelf: string;
  #mounted = false;

  constructor(parent: string) {
    this.mountpoint = join(parent, 'disk');
    this.#shelf = join(parent, 'shelf');
    for (const path of [this.mountpoint, this.#shelf]) mkdirSync(path);
    const image = join(parent, 'shelf.xfs');
    makeFile(image, SHELF_BYTES);
    execFileSync('mkfs.xfs', ['-q', '-m', 'reflink=1', image]);
    execFileSync('mount', ['-o', 'loop', image, this.#shelf]);
  }

  /** A new, empty disk. */
  make(name: string): void {
    makeFile(this.#path(name), DISK_BYTES);
    execFileSync('mkfs.ext4', ['-q', '-b', '4096', '-O', 'verity', this.#path(name)], { stdio: 'ignore' });
  }

  /** What the disk `from` holds now. */
  copy(from: string, to: string): void {
    const source = openSync(this.#path(from), 'r');
    const target = openSync(this.#path(to), 'w');
    try {
      if (!reflink(source, target)) throw new Error('this file system shares no blocks');
    } finally {
      closeSync(target);
      closeSync(source);
    }
  }

  remove(name: string): void {
    rmSync(this.#path(name));
  }

  /** noauto_da_alloc: ext4 must not save a program that forgets to sync what it renames. */
  mount(name: string): void {
    execFileSync('mount', ['-o', 'loop,noauto_da_alloc', this.#path(name), this.mountpoint]);
    this.#mounted = true;
  }

  unmount(): void {
    if (this.#mounted) execFileSync('umount', [this.mountpoint]);
    this.#mounted = false;
  }

  #path(name: string): string {
    return join(this.#shelf, name);
  }

  [Symbol.dispose](): void {
    if (this.#mounted) execFileSync('umount', ['-l', this.mountpoint]);
    execFileSync('umount', ['-l', this.#shelf]);
  }
}

function makeFile(path: string, bytes: number): void {
  const fd = openSync(path, 'w');
  ftruncateSync(fd, bytes);
  closeSync(fd);
}
