/** A repository in a directory: a USB stick, a mounted share. */
import { constants } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { isSystemError, OsupdError } from '../core/errors.ts';
import { checkPath, networkError, placeOf, type ReadOptions, type Source, stopped, tooLong } from './source.ts';

const CHUNK_BYTES = 256 * 1024;

export class FileSource implements Source {
  readonly location: string;
  readonly #directory: string;

  /** @param directory an absolute path */
  constructor(directory: string) {
    this.#directory = directory;
    this.location = pathToFileURL(directory).href;
  }

  async *read(path: string, options: ReadOptions): AsyncGenerator<Uint8Array> {
    const where = placeOf(this, path);
    const { signal, maxBytes } = options;
    checkPath(path);
    const file = await this.#open(path, where);
    try {
      const { size } = await file.stat();
      const { offset, length } = options.range ?? { offset: 0, length: Number.POSITIVE_INFINITY };
      const end = length === Number.POSITIVE_INFINITY ? size : offset + length;
      if (end > size || offset > size) throw tooShort(size, offset, length, where);
      if (end - offset > maxBytes) throw tooLong(maxBytes, where);
      // One buffer, used again after each step, as the contract allows.
      const buffer = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, end - offset));
      for (let at = offset; at < end; ) {
        if (signal?.aborted) throw stopped(signal);
        const bytesRead = await readSome(file, buffer, Math.min(buffer.length, end - at), at, where);
        if (bytesRead === 0) throw tooShort(at, offset, length, where);
        at += bytesRead;
        yield buffer.subarray(0, bytesRead);
      }
    } finally {
      await file.close();
    }
  }

  async close(): Promise<void> {}

  async #open(path: string, where: string): Promise<FileHandle> {
    let file: FileHandle;
    try {
      // A fifo or device under a name of the repository must not block the open.
      file = await open(join(this.#directory, path), constants.O_RDONLY | constants.O_NONBLOCK);
    } catch (error) {
      if (isSystemError(error, 'ENOENT') || isSystemError(error, 'ENOTDIR')) {
        await this.#mustExist();
        throw new OsupdError('not-found', 'there is no such file', { where, cause: error });
      }
      if (isSystemError(error)) throw unreadable(error, where);
      throw error;
    }
    const status = await file.stat();
    if (status.isFile()) return file;
    await file.close();
    throw new OsupdError('not-found', 'it is not a regular file', { where });
  }

  /** Without the directory itself nothing can be said about what is in it. */
  async #mustExist(): Promise<void> {
    try {
      await stat(this.#directory);
    } catch (error) {
      throw networkError('the directory of the repository is not there', this.location, {
        transient: false,
        remedy: 'mount the medium that holds it, or give another URL',
        cause: error,
      });
    }
  }
}

async function readSome(file: FileHandle, into: Buffer, count: number, at: number, where: string): Promise<number> {
  try {
    return (await file.read(into, 0, count, at)).bytesRead;
  } catch (error) {
    if (isSystemError(error)) throw unreadable(error, where);
    throw error;
  }
}

function unreadable(error: NodeJS.ErrnoException, where: string): OsupdError {
  return networkError(`it cannot be read: ${error.message}`, where, {
    transient: error.code === 'EIO' || error.code === 'EAGAIN',
    cause: error,
  });
}

function tooShort(size: number, offset: number, length: number, where: string): OsupdError {
  return networkError(`it ends at byte ${size}; bytes ${offset} to ${offset + length} were asked for`, where, {
    transient: false,
    facts: { size },
  });
}
