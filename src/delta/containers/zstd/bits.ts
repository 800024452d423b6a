/** Streams of bits as zstd has them: written from the lowest bit of the first byte on, entropy-coded ones read from the end. */
import { OsupdError } from '../../../core/errors.ts';

/** What is thrown where bytes are no zstd frame that this reader knows; a caller takes them as bytes like any other. */
export function notZstd(what: string): OsupdError {
  return new OsupdError('unsupported', `not a zstd frame that can be read: ${what}`);
}

/** Bits that one read takes at most. */
const READ_BITS = 24;

/** Reads bits from the end of bytes to their begin; the last byte's highest set bit is where they end. */
export class BackwardBits {
  readonly #bytes: Uint8Array;
  readonly #start: number;
  /** Bits that are left. */
  left: number;

  /** @throws OsupdError `unsupported` */
  constructor(bytes: Uint8Array, start: number, end: number) {
    const last = end > start ? bytes[end - 1]! : 0;
    if (last === 0) throw notZstd('a stream of bits without an end');
    this.#bytes = bytes;
    this.#start = start;
    this.left = (end - start) * 8 - Math.clz32(last) + 23;
  }

  /** The next `count` bits, up to 24, without taking them; where fewer are left, zeros follow. */
  peek(count: number): number {
    const at = this.left - count;
    if (at < 0) return this.left <= 0 ? 0 : (this.#at(0, this.left) << -at) >>> 0;
    return this.#at(at, count);
  }

  /** Takes up to 32 bits. @throws OsupdError `unsupported` past the begin. */
  read(count: number): number {
    if (count > READ_BITS) return this.read(count - READ_BITS) * 2 ** READ_BITS + this.read(READ_BITS);
    const at = this.left - count;
    if (at < 0) throw notZstd('a stream of bits that is too short');
    this.left = at;
    return this.#at(at, count);
  }

  #at(bit: number, count: number): number {
    const bytes = this.#bytes;
    const at = this.#start + (bit >>> 3);
    // Behind the last byte zeros are read.
    const word = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    return (word >>> (bit & 7)) & ((1 << count) - 1);
  }
}

/** Reads bits from the begin on. */
export class ForwardBits {
  readonly #bytes: Uint8Array;
  readonly #start: number;
  readonly #end: number;
  #bit = 0;

  constructor(bytes: Uint8Array, start: number, end: number) {
    this.#bytes = bytes;
    this.#start = start;
    this.#end = end;
  }

  /** Up to 16 bits, without taking them; zeros follow the end. */
  peek(count: number): number {
    const at = this.#start + (this.#bit >>> 3);
    let word = 0;
    for (let byte = 0; byte < 3; byte++) if (at + byte < this.#end) word |= this.#bytes[at + byte]! << (8 * byte);
    return (word >>> (this.#bit & 7)) & ((1 << count) - 1);
  }

  /** @throws OsupdError `unsupported` past the end. */
  skip(count: number): void {
    this.#bit += count;
    if (this.#bit > (this.#end - this.#start) * 8) throw notZstd('a table that is cut off');
  }

  /** Where the byte after the last one that was touched is. */
  get position(): number {
    return this.#start + ((this.#bit + 7) >>> 3);
  }
}

/** Writes bits into a buffer, the lowest first. The caller sees to it that there is room. */
export class BitWriter {
  readonly #bytes: Uint8Array;
  #at: number;
  #word = 0;
  #bits = 0;

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes;
    this.#at = at;
  }

  /** Up to 24 bits; bits of `value` above them must be zero. */
  add(value: number, count: number): void {
    this.#word |= value << this.#bits;
    let bits = this.#bits + count;
    while (bits >= 8) {
      this.#bytes[this.#at++] = this.#word;
      this.#word >>>= 8;
      bits -= 8;
    }
    this.#bits = bits;
  }

  /** Up to 32 bits. */
  addLong(value: number, count: number): void {
    if (count > 16) {
      this.add(value & 0xffff, 16);
      this.add(value >>> 16, count - 16);
    } else this.add(value, count);
  }

  /** Fills up the last byte with zeros. @returns where the bytes end. */
  finish(): number {
    if (this.#bits > 0) this.#bytes[this.#at++] = this.#word;
    this.#word = 0;
    this.#bits = 0;
    return this.#at;
  }

  /** Ends a stream that is read from its end: a set bit, then zeros. */
  close(): number {
    this.add(1, 1);
    return this.finish();
  }
}
