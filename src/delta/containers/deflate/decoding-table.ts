/** Decodes the Huffman codes of deflate (RFC 1951, section 3.2.2). */
import type { BitReader } from './bit-reader.ts';
import { MAX_CODE_BITS } from './symbols.ts';

/** Codes up to this length are found in one look. */
const QUICK_BITS = 10;

export class DecodingTable {
  /** For each value of the next bits: the symbol, and above it the length of its code; 0 where the code is longer. */
  readonly #quick = new Uint16Array(1 << QUICK_BITS);
  /** Symbols in the order of their codes, and of each length how many there are. */
  readonly #symbols: Uint16Array;
  readonly #counts: Uint16Array;

  private constructor(lengths: Uint8Array, counts: Uint16Array) {
    this.#counts = counts;
    this.#symbols = new Uint16Array(lengths.length);
    const next = new Uint16Array(MAX_CODE_BITS + 2);
    const code = new Uint32Array(MAX_CODE_BITS + 2);
    for (let bits = 1; bits <= MAX_CODE_BITS; bits++) {
      next[bits + 1] = (next[bits] as number) + (counts[bits] as number);
      code[bits + 1] = ((code[bits] as number) + (counts[bits] as number)) << 1;
    }
    for (let symbol = 0; symbol < lengths.length; symbol++) {
      const bits = lengths[symbol] as number;
      if (bits === 0) continue;
      const at = next[bits] as number;
      next[bits] = at + 1;
      this.#symbols[at] = symbol;
      const value = code[bits] as number;
      code[bits] = value + 1;
      if (bits > QUICK_BITS) continue;
      for (let place = reverseBits(value, bits); place < 1 << QUICK_BITS; place += 1 << bits) {
        this.#quick[place] = symbol | (bits << 9);
      }
    }
  }

  /** @returns undefined for lengths that are no prefix code. A code of one symbol, or of none, may be incomplete. */
  static of(lengths: Uint8Array): DecodingTable | undefined {
    const counts = new Uint16Array(MAX_CODE_BITS + 1);
    for (const bits of lengths) counts[bits] = (counts[bits] as number) + 1;
    const used = lengths.length - (counts[0] as number);
    counts[0] = 0;
    let left = 1;
    for (let bits = 1; bits <= MAX_CODE_BITS; bits++) {
      left = 2 * left - (counts[bits] as number);
      if (left < 0) return undefined;
    }
    if (left > 0 && used > 1) return undefined;
    return new DecodingTable(lengths, counts);
  }

  /** The next symbol; negative for bits that are no code. */
  read(input: BitReader): number {
    const bits = input.peek(MAX_CODE_BITS);
    const quick = this.#quick[bits & ((1 << QUICK_BITS) - 1)] as number;
    if (quick !== 0) {
      input.skip(quick >> 9);
      return quick & 0x1ff;
    }
    let code = 0;
    let first = 0;
    let index = 0;
    for (let length = 1; length <= MAX_CODE_BITS; length++) {
      code |= (bits >> (length - 1)) & 1;
      const count = this.#counts[length] as number;
      if (code - count < first) {
        input.skip(length);
        return this.#symbols[index + code - first] as number;
      }
      index += count;
      first = (first + count) << 1;
      code <<= 1;
    }
    return -1;
  }
}

/** The lowest `count` bits in the other order: codes are written with their highest bit first. */
export function reverseBits(value: number, count: number): number {
  let reversed = 0;
  for (let bit = 0; bit < count; bit++) reversed |= ((value >> bit) & 1) << (count - 1 - bit);
  return reversed;
}
