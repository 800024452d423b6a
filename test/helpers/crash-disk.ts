/** A disk whose power can be cut: what was not synced is lost, as on real hardware. Needs root. */
import { execFileSync } from 'node:child_process';
import { closeSync, ftruncateSync, mkdirSync, mkdtempSync, openSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import koffi from 'koffi';

/** EXT4_IOC_SHUTDOWN = _IOR('X', 125, __u32), with EXT4_GOING_FLAGS_NOLOGFLUSH: even the journal's open transaction is lost. */
const SHUTDOWN = 0x8004587d;
const NO_LOG_FLUSH = 2;

/** How to make and mount a file system; xfs is not made smaller than 300 MB. */
const TYPES = {
  // noauto_da_alloc: ext4 must not save a program that forgets to sync what it renames.
  ext4: { bytes: 32 << 20, make: ['mkfs.ext4', '-q'], mount: 'loop,noauto_da_alloc' },
  xfs: { bytes: 320 << 20, make: ['mkfs.xfs', '-q', '-m', 'reflink=1'], mount: 'loop' },
  // fsync writes down that file or directory alone, where the journals of the others take all earlier changes along.
  btrfs: { bytes: 128 << 20, make: ['mkfs.btrfs', '-q'], mount: 'loop,commit=300' },
} as const;

/** Call it after `enterMountNamespace`. Only synchronous calls of node:fs, and other processes, see the disk. */
export class CrashDisk implements Disposable {
  readonly directory: string;
  readonly #type: (typeof TYPES)[keyof typeof TYPES];
  readonly #image: string;

  constructor(parent: string, type: keyof typeof TYPES = 'ext4') {
    const base = mkdtempSync(join(parent, 'disk-'));
    this.directory = join(base, 'mnt');
    this.#type = TYPES[type];
    this.#image = join(base, 'image');
    mkdirSync(this.directory);
    const fd = openSync(this.#image, 'w');
    ftruncateSync(fd, this.#type.bytes);
    closeSync(fd);
    const [program, ...options] = this.#type.make;
    execFileSync(program, [...options, this.#image]);
    this.#mount();
  }

  /** Cuts the power and starts again. Nothing may write to the disk meanwhile. */
  crash(): void {
    if (this.#type === TYPES.btrfs) this.#goBackToImage();
    else this.#shutDown();
  }

  /** btrfs has no call to shut it down: what its image holds at this moment is what a cut would leave. */
  #goBackToImage(): void {
    execFileSync('cp', ['--sparse=always', this.#image, `${this.#image}.cut`]);
    execFileSync('umount', [this.directory]);
    renameSync(`${this.#image}.cut`, this.#image);
    this.#mount();
  }

  #shutDown(): void {
    const fd = openSync(this.directory, 'r');
    const ioctl = koffi.load(null).func('int ioctl(int fd, ulong request, void *value)');
    const value = Buffer.alloc(4);
    value.writeUInt32LE(NO_LOG_FLUSH);
    const result = ioctl(fd, SHUTDOWN, value);
    closeSync(fd);
    if (result !== 0) throw new Error(`cannot shut the file system down: errno ${koffi.errno()}`);
    execFileSync('umount', [this.directory]);
    this.#mount();
  }

  #mount(): void {
    execFileSync('mount', ['-o', this.#type.mount, this.#image, this.directory]);
  }

  [Symbol.dispose](): void {
    execFileSync('umount', ['-l', this.directory]);
  }
}
