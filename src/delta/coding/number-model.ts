/**
 * Adaptive coding of numbers of any size: how many bits one has, then its bits (Exp-Golomb), all by six contexts. The bits below the first
 * few are told apart by their place alone.
 */
import { hash, Mixer } from './mixer.ts';
import type { BitCoder } from './range-coder.ts';

/** The largest number. */
export const MAX_CODED_NUMBER = 0xfffffffe;

/** Bits that say how many bits follow: 0 to 32. */
const LENGTH_BITS = 6;
/** Bits below the leading one that are coded by the value so far. */
const VALUE_BITS = 5;

const SLOT_BITS = 13;
const LIMIT = 30;
const RATE = 4;

export class NumberModel {
  readonly #mixer: Mixer;
  readonly #contexts = new Int32Array(6);

  constructor() {
    this.#mixer = new Mixer({ slotBits: SLOT_BITS, sets: 128, corrections: 1, limit: LIMIT, rate: RATE });
  }

  /** Sets what the next number is foretold by. */
  setContexts(c0: number, c1: number, c2: number, c3: number, c4: number, c5: number): void {
    const contexts = this.#contexts;
    contexts[0] = c0;
    contexts[1] = c1;
    contexts[2] = c2;
    contexts[3] = c3;
    contexts[4] = c4;
    contexts[5] = c5;
  }

  /** Codes a number of 0 to {@link MAX_CODED_NUMBER}; a decoder does not look at `value`, and may get a larger one. */
  code(coder: BitCoder, value: number): number {
    const above = (value + 1) >>> 0;
    const wanted = 31 - Math.clz32(above);
    let length = 1;
    for (let shift = LENGTH_BITS - 1; shift >= 0; shift--)
      length = (length << 1) | this.#codeBit(coder, length, length, (wanted >>> shift) & 1);
    length -= 1 << LENGTH_BITS;
    if (length > 31) return MAX_CODED_NUMBER + 1;
    let number = 1;
    for (let shift = length - 1; shift >= 0; shift--) {
      const known = length - 1 - shift;
      const place = (1 << LENGTH_BITS) + (known < VALUE_BITS ? (length << 5) | number : (32 << 5) | shift);
      number =
        ((number << 1) | this.#codeBit(coder, place, 64 + Math.min(length - 1 - shift, 63), (above >>> shift) & 1)) >>>
        0;
    }
    return (number - 1) >>> 0;
  }

  #codeBit(coder: BitCoder, place: number, set: number, bit: number): number {
    const mixer = this.#mixer;
    const contexts = this.#contexts;
    mixer.c0 = hash(contexts[0]!, place);
    mixer.c1 = hash(contexts[1]!, place);
    mixer.c2 = hash(contexts[2]!, place);
    mixer.c3 = hash(contexts[3]!, place);
    mixer.c4 = hash(contexts[4]!, place);
    mixer.c5 = hash(contexts[5]!, place);
    mixer.pick();
    return mixer.code(coder, 0, set, 0, bit);
  }
}
