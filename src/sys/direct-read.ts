/**
 * Reading past the page cache (open(2), O_DIRECT): what the disk holds, not what the kernel remembers of it, and without pushing
 * out of memory what other programs need.
 */
import { constants, openSync } from 'node:fs';
import { isSystemError } from '../core/errors.ts';
import { addressOf } from './libc.ts';

/** Addresses, offsets and lengths must be multiples of the disk's blocks; none has larger ones than this. */
const ALIGNMENT = 4096;

/** A buffer whose address suits O_DIRECT. @param bytes a multiple of 4096. */
export function directBuffer(bytes: number): Buffer {
  const buffer = Buffer.allocUnsafeSlow(bytes + ALIGNMENT);
  const misplaced = Number(addressOf(buffer) % BigInt(ALIGNMENT));
  return buffer.subarray(ALIGNMENT - misplaced).subarray(0, bytes);
}

/**
 * Opens a file for `readSync` into a {@link directBuffer} in steps of its size; in the ordinary way where the file system
 * has no other. Symbolic links are not followed, and no FIFO is waited for.
 */
export function openDirect(path: string): number {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  try {
    return openSync(path, flags | constants.O_DIRECT);
  } catch (error) {
    if (isSystemError(error, 'EINVAL')) return openSync(path, flags);
    throw error;
  }
}
