/** Content that is made once and read at any place: in memory, or above a limit in a file that has no name. */

import { randomUUID } from 'node:crypto';
import { closeSync, openSync, readSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { freeMemory } from '../../core/bytes.ts';
import { toOsupdError } from '../../core/errors.ts';
import { writeFully } from '../../objects/sparse.ts';
import type { Base } from '../codec.ts';

/** Content up to this size is held in memory. */
const HELD_BYTES = 8 << 20;

const START_BYTES = 64 << 10;

export class HeldContent implements Base, Disposable {
  readonly #directory: string | undefined;
  #bytes = new Uint8Array(START_BYTES);
  #file: number | undefined;
  #size = 0;

  /** @param directory where the file is; undefined: all content is held in memory. */
  constructor(directory: string | undefined) {
    this.#directory = directory;
  }

  get size(): number {
    return this.#size;
  }

  /** @throws OsupdError `io` */
  append(chunk: Uint8Array): void {
    const end = this.#size + chunk.length;
    if (this.#directory !== undefined && end > HELD_BYTES) this.#write(chunk, this.#directory);
    else {
      if (end > this.#bytes.length) this.#grow(Math.max(end, 2 * this.#bytes.length));
      this.#bytes.set(chunk, this.#size);
    }
    this.#size = end;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    if (this.#file === undefined) return this.#bytes.subarray(offset, offset + length);
    const bytes = new Uint8Array(length);
    await this.readInto(bytes, offset);
    return bytes;
  }

  async readInto(target: Uint8Array, offset: number): Promise<void> {
    if (this.#file === undefined) {
      target.set(this.#bytes.subarray(offset, offset + target.length));
      return;
    }
    try {
      for (let done = 0; done < target.length; )
        done += readSync(this.#file, target, done, target.length - done, offset + done);
    } catch (error) {
      throw toOsupdError(error, this.#directory);
    }
  }

  [Symbol.dispose](): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
    freeMemory(this.#bytes);
    this.#size = 0;
  }

  #grow(length: number): void {
    const larger = new Uint8Array(length);
    larger.set(this.#bytes.subarray(0, this.#size));
    freeMemory(this.#bytes);
    this.#bytes = larger;
  }

  #write(chunk: Uint8Array, directory: string): void {
    try {
      if (this.#file === undefined) {
        this.#file = createUnnamed(directory);
        writeFully(this.#file, this.#bytes.subarray(0, this.#size), 0);
        freeMemory(this.#bytes);
      }
      writeFully(this.#file, chunk, this.#size);
    } catch (error) {
      throw toOsupdError(error, directory);
    }
  }
}

/** A crash leaves nothing behind. */
function createUnnamed(directory: string): number {
  const path = join(directory, `.content-${randomUUID()}`);
  const file = openSync(path, 'wx+', 0o600);
  unlinkSync(path);
  return file;
}
