/** Writes content that comes as a stream to a staged file, and checks it on the way. */
import { closeSync, ftruncateSync, renameSync, rmSync } from 'node:fs';
import type { Digest } from '../core/digest.ts';
import { OsupdError, toOsupdError } from '../core/errors.ts';
import { FsverityHasher } from './fsverity.ts';
import { writeSparse } from './sparse.ts';
import { createStaged, stagedName } from './staged-file.ts';

/** Content up to this size is held in memory until its digest is known: what the pool has costs no write. */
const HELD_BYTES = 1 << 20;

/** What is known of the content before it comes. */
export interface Expected {
  readonly size?: number;
  readonly digest?: Digest;
}

export interface WrittenContent {
  readonly digest: Digest;
  readonly size: number;
  /** The staged object; undefined when the content was already known and nothing was written. */
  readonly path: string | undefined;
}

/**
 * @param path a new one of the staging area. @param isKnown asked once the digest is there and nothing is written yet (small content only).
 * @throws OsupdError `verification-failed` when size or digest are not as expected; then no file is left.
 */
export async function writeContent(
  content: AsyncIterable<Uint8Array>,
  path: string,
  expected: Expected,
  isKnown: (digest: Digest, size: number) => boolean,
): Promise<WrittenContent> {
  const hasher = new FsverityHasher();
  let held: Uint8Array[] | undefined = [];
  let fd: number | undefined;
  let position = 0;
  const write = (chunks: readonly Uint8Array[]) => {
    fd ??= createStaged(path);
    for (const chunk of chunks) {
      writeSparse(fd, chunk, position);
      position += chunk.length;
    }
  };
  let complete = false;
  try {
    for await (const chunk of content) {
      hasher.update(chunk);
      if (expected.size !== undefined && hasher.size > expected.size) throw wrongSize(expected, 'more');
      if (held !== undefined && hasher.size <= HELD_BYTES) {
        // A copy: the source may reuse its buffer.
        held.push(Uint8Array.from(chunk));
        continue;
      }
      if (held !== undefined) write(held);
      held = undefined;
      write([chunk]);
    }
    const { size } = hasher;
    if (expected.size !== undefined && size < expected.size) throw wrongSize(expected, `${size}`);
    const digest = hasher.digest();
    if (expected.digest !== undefined && digest !== expected.digest) throw wrongDigest(expected.digest, digest);
    if (held !== undefined && isKnown(digest, size)) return { digest, size, path: undefined };
    write(held ?? []);
    if (fd !== undefined) ftruncateSync(fd, size);
    const staged = stagedName(path, digest);
    renameSync(path, staged);
    complete = true;
    return { digest, size, path: staged };
  } catch (error) {
    throw toOsupdError(error, path);
  } finally {
    if (fd !== undefined) {
      closeSync(fd);
      if (!complete) rmSync(path);
    }
  }
}

function wrongSize(expected: Expected, found: string): OsupdError {
  return new OsupdError('verification-failed', `the content has ${found} bytes, not ${expected.size}`, {
    ...(expected.digest === undefined ? {} : { where: expected.digest }),
  });
}

function wrongDigest(expected: Digest, found: Digest): OsupdError {
  return new OsupdError('verification-failed', `the content has the digest ${found}`, { where: expected });
}
