/** Writes content that comes as a stream to a staged file, and checks it on the way. */
import { closeSync, ftruncateSync, renameSync, rmSync } from 'node:fs';
import { freeMemory } from '../core/bytes.ts';
import type { Digest } from '../core/digest.ts';
import { OsupdError, toOsupdError } from '../core/errors.ts';
import { FsverityHasher } from './fsverity.ts';
import { writeSparse } from './sparse.ts';
import { createStaged, stagedName } from './staged-file.ts';

/** Content up to this size is held in memory until its digest is known: what the pool has costs no write. */
const HELD_BYTES = 1 << 20;

/** The first buffer for content of unknown size. */
const HELD_START_BYTES = 4 << 10;

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
  let held: HeldContent | undefined = new HeldContent(expected.size);
  let file: StagedContent | undefined;
  try {
    for await (const chunk of content) {
      hasher.update(chunk);
      if (expected.size !== undefined && hasher.size > expected.size) throw wrongSize(expected, 'more');
      if (held !== undefined && hasher.size <= HELD_BYTES) {
        held.add(chunk);
        continue;
      }
      file ??= new StagedContent(path);
      if (held !== undefined) file.write(held.bytes);
      held?.[Symbol.dispose]();
      held = undefined;
      file.write(chunk);
    }
    const { size } = hasher;
    if (expected.size !== undefined && size < expected.size) throw wrongSize(expected, `${size}`);
    const digest = hasher.digest();
    if (expected.digest !== undefined && digest !== expected.digest) throw wrongDigest(expected.digest, digest);
    if (held !== undefined && isKnown(digest, size)) return { digest, size, path: undefined };
    const staged = stagedName(path, digest);
    // What was held is written under its name from the start.
    file ??= new StagedContent(staged);
    if (held !== undefined) file.write(held.bytes);
    file.finish(staged);
    return { digest, size, path: staged };
  } catch (error) {
    throw toOsupdError(error, path);
  } finally {
    file?.[Symbol.dispose]();
    held?.[Symbol.dispose]();
  }
}

/** Small content, in one piece, whose memory is given back at once. */
class HeldContent implements Disposable {
  #buffer: Buffer;
  #length = 0;

  /** @param size bytes that will come, where that is known. */
  constructor(size = HELD_START_BYTES) {
    this.#buffer = Buffer.allocUnsafeSlow(Math.min(size, HELD_BYTES));
  }

  get bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.#length);
  }

  /** Takes a copy: the source may reuse its buffer. */
  add(chunk: Uint8Array): void {
    const end = this.#length + chunk.length;
    if (end > this.#buffer.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(end, 2 * this.#buffer.length));
      larger.set(this.bytes);
      freeMemory(this.#buffer);
      this.#buffer = larger;
    }
    this.#buffer.set(chunk, this.#length);
    this.#length = end;
  }

  [Symbol.dispose](): void {
    freeMemory(this.#buffer);
  }
}

/** A staged file that is being written. It is removed unless it was finished. */
class StagedContent implements Disposable {
  readonly #path: string;
  readonly #fd: number;
  #position = 0;
  /** Where the last byte that was written ends: zeros after it are a hole. */
  #end = 0;
  #isFinished = false;

  constructor(path: string) {
    this.#path = path;
    this.#fd = createStaged(path);
  }

  write(chunk: Uint8Array): void {
    this.#end = writeSparse(this.#fd, chunk, this.#position) ?? this.#end;
    this.#position += chunk.length;
  }

  /** @param name what it is called from now on. */
  finish(name: string): void {
    if (this.#end < this.#position) ftruncateSync(this.#fd, this.#position);
    if (name !== this.#path) renameSync(this.#path, name);
    this.#isFinished = true;
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
    if (!this.#isFinished) rmSync(this.#path);
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
