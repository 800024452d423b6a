/** The objects of a repository as contents, for making deltas from them: decompressed when they are opened, and checked. */
import { type FileHandle, open, readFile, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Digest } from '../core/digest.ts';
import { isSystemError, OsupdError } from '../core/errors.ts';
import { FsverityHasher, fsverityDigest } from '../objects/fsverity.ts';
import type { OpenObject } from '../objects/pool.ts';
import { objectPath } from './layout.ts';
import { decompressBytes, decompressStream, FRAME_HEADER_BYTES, frameContentSize } from './zstd.ts';

/** Objects up to this size are held in memory while they are open; larger ones are in a temporary file without a name. */
const MAX_MEMORY_BYTES = 32 << 20;

export class RepositoryObjects {
  readonly #directory: string;
  readonly #scratch: string;
  #count = 0;

  /** @param scratch a directory for temporary files, with room for the largest objects */
  constructor(directory: string, scratch: string) {
    this.#directory = directory;
    this.#scratch = scratch;
  }

  /** @throws OsupdError `damaged-repository` when the object is missing or is not what its name says. */
  async openObject(digest: Digest): Promise<OpenObject> {
    const path = join(this.#directory, objectPath(digest));
    const size = await contentSize(path, digest);
    if (size > MAX_MEMORY_BYTES) return this.#openLarge(path, digest, size);
    const bad = (why: string, cause?: unknown) => damaged(path, digest, why, cause);
    const bytes = await decompressBytes(await readFile(path), size, bad);
    if (fsverityDigest(bytes) !== digest) throw bad('its content is not what its name says');
    const close = async () => {};
    return {
      digest,
      path,
      size,
      read: async (offset, length) => {
        if (offset + length > size) throw bad(`it ends at byte ${size}, before ${offset + length}`);
        return bytes.subarray(offset, offset + length);
      },
      close,
      [Symbol.asyncDispose]: close,
    };
  }

  async #openLarge(path: string, digest: Digest, size: number): Promise<OpenObject> {
    const temporary = join(this.#scratch, `open-${this.#count++}`);
    const file = await open(temporary, 'wx+');
    try {
      // Without a name it is gone when it is closed, however this process ends.
      await unlink(temporary);
      await unpack(path, digest, size, file);
    } catch (error) {
      await file.close();
      throw error;
    }
    const close = () => file.close();
    return {
      digest,
      path,
      size,
      read: (offset, length) => readExactly(file, offset, length, path, digest),
      close,
      [Symbol.asyncDispose]: close,
    };
  }
}

/** The size of an object's content, from its frame header. */
async function contentSize(path: string, digest: Digest): Promise<number> {
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) throw damaged(path, digest, 'the object is missing');
    throw error;
  }
  try {
    const head = Buffer.alloc(FRAME_HEADER_BYTES);
    const { bytesRead } = await file.read(head, 0, head.length, 0);
    const size = frameContentSize(head.subarray(0, bytesRead));
    if (size === undefined) throw damaged(path, digest, 'it is no zstd frame that says its size');
    return size;
  } finally {
    await file.close();
  }
}

async function unpack(path: string, digest: Digest, size: number, target: FileHandle): Promise<void> {
  await using source = await open(path, 'r');
  const hasher = new FsverityHasher();
  try {
    for await (const chunk of decompressStream(source.createReadStream({ autoClose: false }))) {
      hasher.update(chunk);
      if (hasher.size > size) break;
      await target.writeFile(chunk);
    }
  } catch (error) {
    if (isSystemError(error, 'ENOSPC')) throw error;
    throw damaged(path, digest, (error as Error).message, error);
  }
  if (hasher.size !== size || hasher.digest() !== digest) {
    throw damaged(path, digest, 'its content is not what its name says');
  }
}

async function readExactly(
  file: FileHandle,
  offset: number,
  length: number,
  path: string,
  digest: Digest,
): Promise<Uint8Array> {
  const bytes = Buffer.allocUnsafe(length);
  for (let done = 0; done < length; ) {
    const { bytesRead } = await file.read(bytes, done, length - done, offset + done);
    if (bytesRead === 0) throw damaged(path, digest, `it ends before byte ${offset + length}`);
    done += bytesRead;
  }
  return bytes;
}

function damaged(where: string, digest: Digest, why: string, cause?: unknown): OsupdError {
  return new OsupdError('damaged-repository', why, {
    where,
    remedy: 'remove the file and publish a release that has the object again',
    facts: { object: digest },
    ...(cause === undefined ? {} : { cause }),
  });
}
