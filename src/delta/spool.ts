/** Keeps encoded records on disk until the header, which says their lengths, can be written before them. */
import { randomUUID } from 'node:crypto';
import { unlinkSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { toOsupdError } from '../core/errors.ts';

/** Where one record is. Lengths and offsets in bytes. */
export interface Spooled {
  readonly length: number;
  readonly pieces: readonly { readonly offset: number; readonly length: number }[];
}

const READ_BYTES = 1 << 20;

export class Spool implements AsyncDisposable {
  readonly #file: FileHandle;
  readonly #directory: string;
  #size = 0;

  private constructor(file: FileHandle, directory: string) {
    this.#file = file;
    this.#directory = directory;
  }

  /** Makes a file in `directory` that has no name any more: a crash leaves nothing behind. */
  static async create(directory: string): Promise<Spool> {
    const path = join(directory, `.records-${randomUUID()}`);
    try {
      const file = await open(path, 'wx+', 0o600);
      unlinkSync(path);
      return new Spool(file, directory);
    } catch (error) {
      throw toOsupdError(error, path);
    }
  }

  /** Several records may be written at the same time. */
  async write(chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<Spooled> {
    const pieces: { offset: number; length: number }[] = [];
    let length = 0;
    for await (const chunk of chunks) {
      const offset = this.#size;
      this.#size += chunk.length;
      try {
        for (let done = 0; done < chunk.length; )
          done += (await this.#file.write(chunk, done, chunk.length - done, offset + done)).bytesWritten;
      } catch (error) {
        throw toOsupdError(error, this.#directory);
      }
      pieces.push({ offset, length: chunk.length });
      length += chunk.length;
    }
    return { length, pieces };
  }

  /** A record's bytes; each chunk is valid until the next step. */
  async *read(record: Spooled): AsyncGenerator<Uint8Array> {
    const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, record.length));
    for (const piece of record.pieces) {
      for (let done = 0; done < piece.length; ) {
        const wanted = Math.min(buffer.length, piece.length - done);
        const { bytesRead } = await this.#file.read(buffer, 0, wanted, piece.offset + done);
        yield buffer.subarray(0, bytesRead);
        done += bytesRead;
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }
}
