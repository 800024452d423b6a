/** Tells which short words a file does not have, so that they need not be searched for (a Bloom filter of one hash). */

/** Bytes of a word. */
export const WORD_BYTES = 5;

const LEAST_BITS = 10;
/** 64 MiB of memory. */
const MOST_BITS = 29;

/** Up to this size a table is kept for the next filter. */
const KEPT_TABLE_BYTES = 16 << 20;

let kept = new Uint8Array(0);

function hashOf(bytes: Uint8Array, at: number): number {
  const four = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
  const hash = Math.imul(four, 0x9e3779b1) ^ Math.imul(bytes[at + 4]! + 1, 0x5bd1e995);
  return Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
}

function emptyTable(size: number): Uint8Array {
  if (size > KEPT_TABLE_BYTES) return new Uint8Array(size);
  if (kept.length < size) kept = new Uint8Array(size);
  return kept.subarray(0, size).fill(0);
}

export class WordFilter {
  readonly #bits: Uint8Array;
  readonly #shift: number;

  /** It is of use until the next filter is made. */
  constructor(bytes: Uint8Array) {
    const bits = Math.min(MOST_BITS, Math.max(LEAST_BITS, 32 - Math.clz32(bytes.length) + 3));
    this.#shift = 32 - bits;
    this.#bits = emptyTable(2 ** (bits - 3));
    for (let at = 0; at + WORD_BYTES <= bytes.length; at++) {
      const slot = hashOf(bytes, at) >>> this.#shift;
      this.#bits[slot >>> 3]! |= 1 << (slot & 7);
    }
  }

  /** False where the file certainly does not have the word at an offset of another one. */
  mayHave(bytes: Uint8Array, at: number): boolean {
    const slot = hashOf(bytes, at) >>> this.#shift;
    return (this.#bits[slot >>> 3]! & (1 << (slot & 7))) !== 0;
  }
}
