/** Writing without the zeros: long runs of them become holes, so that a sparse file stays sparse. */
import { writeSync } from 'node:fs';

/** Shorter runs are written: a hole for each would cut the file into pieces on disk. */
const RUN_BYTES = 64 << 10;
const ZEROS = Buffer.alloc(RUN_BYTES);

/**
 * Writes a chunk at its position, leaving out runs of zeros. The caller sets the file's size in the end: the last run may
 * be a hole.
 * @returns where the last byte that was written ends; undefined where all were left out.
 */
export function writeSparse(fd: number, chunk: Uint8Array, position: number): number | undefined {
  let from = 0;
  let end: number | undefined;
  for (let at = 0; at + RUN_BYTES <= chunk.length; at += RUN_BYTES) {
    if (ZEROS.compare(chunk, at, at + RUN_BYTES) !== 0) continue;
    if (at > from) {
      writeFully(fd, chunk.subarray(from, at), position + from);
      end = position + at;
    }
    from = at + RUN_BYTES;
  }
  if (from === chunk.length) return end;
  writeFully(fd, from === 0 ? chunk : chunk.subarray(from), position + from);
  return position + chunk.length;
}

/** Writes all of the bytes at a position. */
export function writeFully(fd: number, bytes: Uint8Array, position: number): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done, bytes.length - done, position + done);
}
