/** Reads numbers and byte ranges from a record's stored bytes as they come. */
import { ByteReader } from '../../core/bytes.ts';
import { damagedDelta, damagedPart } from '../damage.ts';

/** Bytes of the longest varint that a format of osupd has. */
const MAX_VARINT_BYTES = 8;

export class StoredBytes implements AsyncDisposable {
  readonly #source: AsyncIterator<Uint8Array>;
  #rest: Uint8Array = new Uint8Array(0);

  /** @param source its chunks stay valid. */
  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** @throws OsupdError `damaged-delta` */
  async varint(what: string): Promise<number> {
    for (;;) {
      const isWhole = this.#rest.length >= MAX_VARINT_BYTES || this.#rest.some((byte) => byte < 0x80);
      if (isWhole || !(await this.#readOn())) break;
    }
    const reader = new ByteReader(this.#rest, damagedPart('record'));
    const value = reader.varint(what);
    this.#rest = this.#rest.subarray(reader.offset);
    return value;
  }

  /** The next `length` bytes, a number that was checked. They stay valid. @throws OsupdError `damaged-delta` */
  async take(length: number): Promise<Uint8Array> {
    if (this.#rest.length >= length) {
      const taken = this.#rest.subarray(0, length);
      this.#rest = this.#rest.subarray(length);
      return taken;
    }
    const parts: Uint8Array[] = [this.#rest];
    let missing = length - this.#rest.length;
    this.#rest = new Uint8Array(0);
    while (missing > 0) {
      if (!(await this.#readOn())) throw damagedDelta(`a record ends ${missing} bytes too early`);
      parts.push(this.#rest.subarray(0, missing));
      this.#rest = this.#rest.subarray(parts.at(-1)!.length);
      missing -= parts.at(-1)!.length;
    }
    return Buffer.concat(parts);
  }

  /** @throws OsupdError `damaged-delta` */
  async byte(what: string): Promise<number> {
    while (this.#rest.length === 0) if (!(await this.#readOn())) throw damagedDelta(`${what} is missing`);
    const value = this.#rest[0] as number;
    this.#rest = this.#rest.subarray(1);
    return value;
  }

  /** All that is left. Its chunks stay valid. */
  async *rest(): AsyncGenerator<Uint8Array> {
    do {
      const chunk = this.#rest;
      this.#rest = new Uint8Array(0);
      if (chunk.length > 0) yield chunk;
    } while (await this.#readOn());
  }

  /** True when nothing is left. */
  async isAtEnd(): Promise<boolean> {
    while (this.#rest.length === 0) if (!(await this.#readOn())) return true;
    return false;
  }

  /** Gives the source up. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#source.return?.();
  }

  /** Adds the next chunk to what is there; false at the end. */
  async #readOn(): Promise<boolean> {
    const { done, value } = await this.#source.next();
    if (done) return false;
    this.#rest = this.#rest.length === 0 ? value : Buffer.concat([this.#rest, value]);
    return true;
  }
}
