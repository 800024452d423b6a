/** Bits of a deflate stream: the first is the lowest bit of the first byte (RFC 1951, section 3.1.1). */
import type { CodeBits } from './read-stream.ts';

/** Reading past the end gives zeros and sets {@link overrun}. */
export class BitReader {
  readonly #bytes: Uint8Array;
  #next: number;
  #held = 0;
  #heldBits = 0;
  /** Bits that were taken beyond the end. */
  #missing = 0;

  constructor(bytes: Uint8Array, offset = 0) {
    this.#bytes = bytes;
    this.#next = offset;
  }

  get overrun(): boolean {
    return this.#missing > this.#heldBits;
  }

  /** Position of the next bit. */
  get bitOffset(): number {
    return 8 * this.#next + this.#missing - this.#heldBits;
  }

  /** Offset of the next byte; only at a byte's boundary. */
  get offset(): number {
    return this.bitOffset >>> 3;
  }

  /** The next `count` bits, up to 16, without taking them. */
  peek(count: number): number {
    while (this.#heldBits < count) {
      const byte = this.#bytes[this.#next];
      if (byte === undefined) this.#missing += 8;
      else {
        this.#held |= byte << this.#heldBits;
        this.#next++;
      }
      this.#heldBits += 8;
    }
    return this.#held & ((1 << count) - 1);
  }

  skip(count: number): void {
    this.#held >>>= count;
    this.#heldBits -= count;
  }

  read(count: number): number {
    const value = this.peek(count);
    this.skip(count);
    return value;
  }

  /** Goes on at the next byte. @returns false when a bit on the way is set. */
  alignWithZeros(): boolean {
    return this.read(this.#heldBits & 7) === 0 && !this.overrun;
  }

  /** The next bytes, at a byte's boundary; undefined when there are not so many. */
  takeBytes(count: number): Uint8Array | undefined {
    const from = this.offset;
    if (count > this.#bytes.length - from) return undefined;
    this.#next = from + count;
    this.#held = 0;
    this.#heldBits = 0;
    this.#missing = 0;
    return this.#bytes.subarray(from, from + count);
  }

  /** A copy of the bits between two positions that were read. */
  copyBits(from: number, to: number): CodeBits {
    const bits = to - from;
    const out = new Uint8Array((bits + 7) >> 3);
    for (let at = 0; at < bits; at++) {
      const place = from + at;
      const bit = ((this.#bytes[place >>> 3] ?? 0) >> (place & 7)) & 1;
      out[at >> 3] = (out[at >> 3] as number) | (bit << (at & 7));
    }
    return { bytes: out, bits };
  }
}
