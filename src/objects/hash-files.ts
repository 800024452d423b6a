/** Digests of files that are already in a pool. Runs on a worker thread. */
import { closeSync, readSync } from 'node:fs';
import type { Digest } from '../core/digest.ts';
import { isSystemError, toOsupdError } from '../core/errors.ts';
import { directBuffer, openDirect } from '../sys/direct-read.ts';
import { FsverityHasher } from './fsverity.ts';

export interface HashedFile {
  /** Undefined when the file could not be read. */
  readonly digest?: Digest;
  /** Bytes that were hashed. */
  readonly size: number;
  /** errno of the failed read; `EIO` is a bad disk, or a block that fs-verity refused. */
  readonly failure?: string;
}

/** Bytes of one read: large enough that the number of calls does not matter, small enough to stay in the processor's cache. */
export const READ_BYTES = 1 << 20;

let buffer: Buffer | undefined;

/**
 * Hashes each file, as the disk has it and not as the kernel remembers it. One that is gone or cannot be read is a result, not
 * an error.
 */
export function hashFiles(paths: readonly string[]): HashedFile[] {
  return paths.map((path) => {
    try {
      const fd = openDirect(path);
      try {
        return hashDescriptor(fd);
      } finally {
        closeSync(fd);
      }
    } catch (error) {
      if (isSystemError(error)) return { size: 0, failure: error.code ?? error.message };
      throw toOsupdError(error, path);
    }
  });
}

/** Reads an open file from its start to its end. */
export function hashDescriptor(fd: number): { digest: Digest; size: number } {
  buffer ??= directBuffer(READ_BYTES);
  const hasher = new FsverityHasher();
  for (;;) {
    const count = readSync(fd, buffer, 0, READ_BYTES, hasher.size);
    if (count === 0) return { digest: hasher.digest(), size: hasher.size };
    hasher.update(buffer.subarray(0, count));
    // Not a multiple of the disk's blocks: this was the end, and the next offset would suit no disk.
    if (count < READ_BYTES && count % 512 !== 0) return { digest: hasher.digest(), size: hasher.size };
  }
}
