/**
 * The disk that gets a system: an image file, or a block device. Its old partition table goes first and its new one comes last,
 * when everything else is there and on disk: whatever cuts an installation short, firmware and kernel find no system on it.
 */
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  realpathSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { isSystemError, OsupdError, toOsupdError } from '../core/errors.ts';
import { type DiskGeometry, diskGeometry } from '../sys/block-device.ts';
import { syncDirectory } from '../sys/durable.ts';
import { type LoopDevice, openLoopDevice } from '../sys/loop.ts';
import { type DiskPlan, MIB, type Partition, partitionScript } from './partitions.ts';
import { runProgram } from './run-program.ts';

/** Blocks of an image file: those of nearly all disks. */
const FILE_BLOCK_BYTES = 512;
const LOOP_DEVICES = '/sys/block';

export interface DiskRequest {
  readonly path: string;
  /** For an image file that does not exist: its size in bytes. */
  readonly bytes: number;
  /** What is on it may be lost. */
  readonly overwrite: boolean;
}

export class TargetDisk implements Disposable {
  readonly path: string;
  readonly geometry: DiskGeometry;
  readonly #fd: number;
  readonly #isNew: boolean;
  #isOpen = true;

  private constructor(path: string, fd: number, geometry: DiskGeometry, isNew: boolean) {
    this.path = path;
    this.#fd = fd;
    this.geometry = geometry;
    this.#isNew = isNew;
  }

  /**
   * Opens a disk, and makes the image file when there is none. Nothing on the disk is changed.
   * @throws OsupdError `busy` for a disk that is mounted or used otherwise; `usage` for one that is not empty, without `overwrite`;
   *   `not-found`, `no-space`, `io`.
   */
  static open({ path, bytes, overwrite }: DiskRequest): TargetDisk {
    let fd: number | undefined;
    try {
      const found = statSync(path, { throwIfNoEntry: false });
      if (found?.isBlockDevice()) {
        // O_EXCL: Linux refuses it for a disk of which anything is mounted, or used by another layer.
        fd = openSync(path, constants.O_RDWR | constants.O_EXCL);
        if (!overwrite) throw wouldBeLost(path, 'a disk of this machine');
        return new TargetDisk(path, fd, diskGeometry(fd, path), false);
      }
      if (found !== undefined && !found.isFile()) {
        throw new OsupdError('usage', 'this is neither a block device nor an image file', { where: path });
      }
      refuseUsedFile(path);
      fd = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600);
      if (found === undefined || found.size === 0) ftruncateSync(fd, Math.floor(bytes / MIB) * MIB);
      else if (!overwrite && !beginsEmpty(fd)) throw wouldBeLost(path, 'a file that is not empty');
      const geometry = { bytes: fstatSync(fd).size, blockBytes: FILE_BLOCK_BYTES };
      return new TargetDisk(path, fd, geometry, found === undefined);
    } catch (error) {
      if (fd !== undefined) closeSync(fd);
      throw isSystemError(error, 'EBUSY')
        ? inUse(path, 'something on it is mounted, or another program has it')
        : toOsupdError(error, path);
    }
  }

  /** Takes the partition table and its copy away. */
  clear(): void {
    const zeros = Buffer.alloc(MIB);
    for (const position of [0, Math.max(0, this.geometry.bytes - MIB)])
      for (let done = 0; done < MIB; ) done += writeSync(this.#fd, zeros, done, MIB - done, position + done);
    fsyncSync(this.#fd);
  }

  /** A part of the disk as a block device. */
  openPart({ offset, length }: Partition): LoopDevice {
    return openLoopDevice(this.#fd, this.path, { offset, length, blockBytes: this.geometry.blockBytes });
  }

  /** What makes the disk one that can be booted. All else must be closed by then; the disk is closed after it. */
  async finish(plan: DiskPlan): Promise<void> {
    fsyncSync(this.#fd);
    this.#close();
    // It also tells the kernel, which was kept from the disk until now.
    await runProgram(
      'sfdisk',
      ['--quiet', '--wipe', 'never', this.path],
      this.path,
      partitionScript(plan, this.geometry),
    );
    const fd = openSync(this.path, 'r');
    fsyncSync(fd);
    closeSync(fd);
    if (this.#isNew) syncDirectory(dirname(this.path));
  }

  /** Takes away the image file, if it was not there before. */
  discard(): void {
    if (this.#isNew) rmSync(this.path, { force: true });
  }

  [Symbol.dispose](): void {
    this.#close();
  }

  #close(): void {
    if (this.#isOpen) closeSync(this.#fd);
    this.#isOpen = false;
  }
}

function beginsEmpty(fd: number): boolean {
  const head = Buffer.alloc(MIB);
  return head.subarray(0, readSync(fd, head, 0, MIB, 0)).every((byte) => byte === 0);
}

/** Loop devices of an image file: Linux lets two users write to one file, and both lose. */
function refuseUsedFile(path: string): void {
  if (statSync(path, { throwIfNoEntry: false }) === undefined) return;
  const file = realpathSync(path);
  for (const name of readdirSync(LOOP_DEVICES).filter((each) => each.startsWith('loop'))) {
    try {
      if (readFileSync(join(LOOP_DEVICES, name, 'loop/backing_file'), 'utf8').trim() === file)
        throw inUse(path, `it is the loop device ${name}`);
    } catch (error) {
      // A loop device without a file, or one that went away meanwhile.
      if (!isSystemError(error, 'ENOENT') && !isSystemError(error, 'ENXIO')) throw error;
    }
  }
}

function inUse(path: string, why: string): OsupdError {
  return new OsupdError('busy', `the disk is in use: ${why}`, {
    where: path,
    remedy: 'unmount it, or name another disk',
  });
}

function wouldBeLost(path: string, what: string): OsupdError {
  return new OsupdError('usage', `this is ${what}: everything on it would be lost`, {
    where: path,
    remedy: 'give --yes if that is meant',
  });
}
