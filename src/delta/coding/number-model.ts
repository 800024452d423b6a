/** Adaptive coding of numbers of any size: how many bits one has, then its bits (Exp-Golomb), the first of them by their value. */
import { BitModels } from './bit-models.ts';
import type { BitCoder } from './range-coder.ts';

/** The largest number. */
export const MAX_CODED_NUMBER = 0xfffffffe;

/** Bits that say how many bits follow: 0 to 32. */
const LENGTH_BITS = 6;
/** Bits below the leading one that have slots by their value; the others have one by their place. */
const VALUE_BITS = 3;
const LENGTH_SLOTS = 1 << LENGTH_BITS;
const VALUE_SLOTS = 1 << VALUE_BITS;
const SLOTS_BY_LENGTH = VALUE_SLOTS + 32;
const SLOTS = LENGTH_SLOTS + 33 * SLOTS_BY_LENGTH;

const LIMIT = 255;

export class NumberModel {
  readonly #models: BitModels;

  /** @param contexts numbers of different contexts are learned apart. */
  constructor(contexts: number) {
    this.#models = new BitModels(contexts * SLOTS, LIMIT);
  }

  /** Codes a number of 0 to {@link MAX_CODED_NUMBER}; a decoder does not look at `value`. */
  code(coder: BitCoder, context: number, value: number): number {
    const models = this.#models;
    const first = context * SLOTS;
    const above = (value + 1) >>> 0;
    const length = models.codeTree(coder, first, LENGTH_BITS, 31 - Math.clz32(above));
    if (length > 31) return MAX_CODED_NUMBER + 1;
    const base = first + LENGTH_SLOTS + length * SLOTS_BY_LENGTH;
    let number = 1;
    for (let shift = length - 1; shift >= 0; shift--) {
      const slot =
        length - shift <= VALUE_BITS ? (number & (VALUE_SLOTS - 1)) | (1 << (length - shift - 1)) : VALUE_SLOTS + shift;
      number = ((number << 1) | models.code(coder, base + slot, (above >>> shift) & 1)) >>> 0;
    }
    return (number - 1) >>> 0;
  }
}
