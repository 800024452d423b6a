/** Loop devices: a file, or a part of it, as a block device that goes away with its last user. Structures of <linux/loop.h>. */
import { closeSync, openSync } from 'node:fs';
import { isSystemError, OsupdError, toOsupdError } from '../core/errors.ts';
import { callError, lastErrno, libc } from './libc.ts';

const LOOP_CTL_GET_FREE = 0x4c82;
/** LOOP_CONFIGURE (Linux 5.8): everything in one step, so that nobody sees the device half made. */
const LOOP_CONFIGURE = 0x4c0a;
/** struct loop_config: u32 fd, u32 block_size, struct loop_info64, u64 reserved[8]. */
const CONFIG_BYTES = 4 + 4 + 232 + 64;
/** Places in struct loop_info64, which starts at byte 8: lo_offset, lo_sizelimit, lo_flags. */
const PART_OFFSET = 8 + 24;
const PART_LENGTH = 8 + 32;
const FLAGS_OFFSET = 8 + 52;
const READ_ONLY = 1;
const AUTOCLEAR = 4;
/** Where the file system below has it: pages are kept once, by the file system above. Linux ignores it elsewhere. */
const DIRECT_IO = 16;
/** EROFS images have blocks of 4096 bytes. */
const BLOCK_BYTES = 4096;
/** Others take free devices too: between asking for one and taking it, it may be gone. */
const ATTEMPTS = 32;

export interface LoopDevice extends Disposable {
  readonly path: string;
  /** Lets go of the device: it stays as long as it is mounted. */
  [Symbol.dispose](): void;
}

/** A part of a file that can be written to. */
export interface WritablePart {
  /** Where it begins, and how long it is: bytes, multiples of 512. */
  readonly offset: number;
  readonly length: number;
  /** Size of a block in bytes: that of the disk on which the part is to be a partition. */
  readonly blockBytes: number;
}

/**
 * Makes a loop device of a file: read-only and of all of it, or of a part that can be written to.
 * @param file descriptor open for reading, and for writing where that is wanted. @param where the file's name for messages.
 * @throws OsupdError `unsupported` where the system gives no loop devices.
 */
export function openLoopDevice(file: number, where: string, part?: WritablePart): LoopDevice {
  const control = openDevice('/dev/loop-control', where);
  try {
    for (let attempt = 1; ; attempt++) {
      const number = libc().ioctlNumber(control, LOOP_CTL_GET_FREE, 0);
      if (number < 0) throw callError('asking for a free loop device', lastErrno(), { where });
      const path = `/dev/loop${number}`;
      const device = openDevice(path, where, part === undefined ? 'r' : 'r+');
      if (configure(device, file, part)) return { path, [Symbol.dispose]: () => closeSync(device) };
      const errno = lastErrno();
      closeSync(device);
      if (errno !== 'EBUSY' || attempt === ATTEMPTS) throw callError(`setting up ${path}`, errno, { where });
    }
  } finally {
    closeSync(control);
  }
}

function configure(device: number, file: number, part: WritablePart | undefined): boolean {
  const config = Buffer.alloc(CONFIG_BYTES);
  config.writeUInt32LE(file, 0);
  config.writeUInt32LE(part?.blockBytes ?? BLOCK_BYTES, 4);
  config.writeBigUInt64LE(BigInt(part?.offset ?? 0), PART_OFFSET);
  config.writeBigUInt64LE(BigInt(part?.length ?? 0), PART_LENGTH);
  config.writeUInt32LE(part === undefined ? READ_ONLY | AUTOCLEAR | DIRECT_IO : AUTOCLEAR, FLAGS_OFFSET);
  return libc().ioctl(device, LOOP_CONFIGURE, config) === 0;
}

function openDevice(path: string, where: string, flags: 'r' | 'r+' = 'r'): number {
  try {
    return openSync(path, flags);
  } catch (error) {
    if (!isSystemError(error, 'ENOENT') && !isSystemError(error, 'EPERM')) throw toOsupdError(error, path);
    throw new OsupdError('unsupported', `the system gives no loop devices (${path}: ${error.code})`, {
      where,
      remedy: 'load the kernel module "loop", or let the container use loop devices',
      facts: { errno: error.code },
      cause: error,
    });
  }
}
