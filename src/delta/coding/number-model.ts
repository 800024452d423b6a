/**
 * Adaptive coding of numbers of any size: how many bits one has, then its bits (Exp-Golomb). The first few are foretold by four
 * contexts, those below by their place alone.
 */
import { BitModels } from './bit-models.ts';
import { hash, Mixer, stepsOf } from './mixer.ts';
import type { BitCoder } from './range-coder.ts';

/** The largest number. */
export const MAX_CODED_NUMBER = 0xfffffffe;

/** Bits of a number's size, without the one that is coded alone: whether it is above 15. */
const SIZE_BITS = 4;
const LARGE = 1 << SIZE_BITS;
/** Bits below the leading one that are coded by the contexts; those below say little. */
const MIXED_BITS = 3;

const SLOT_BITS = 13;
const LIMIT = 127;
const STEPS = stepsOf([1.5, 2.5, 3.5, 5, 7, 10, 14, 20]);
const RATE = 10;

export class NumberModel {
  readonly #mixer: Mixer;
  readonly #large = new BitModels(1, LIMIT);
  /** By the size of the number and the place of the bit. */
  readonly #low = new BitModels(1 << 11, LIMIT);

  constructor() {
    this.#mixer = new Mixer({ slotBits: SLOT_BITS, sets: 512, steps: STEPS, rate: RATE });
  }

  /** Sets what the next number is foretold by. */
  setContexts(c0: number, c1: number, c2: number, c3: number): void {
    const mixer = this.#mixer;
    mixer.c0 = hash(c0, 0);
    mixer.c1 = hash(c1, 1);
    mixer.c2 = hash(c2, 2);
    mixer.c3 = hash(c3, 3);
  }

  /** Codes a number of 0 to {@link MAX_CODED_NUMBER}; a decoder does not look at `value`, and may get a larger one. */
  code(coder: BitCoder, value: number): number {
    const mixer = this.#mixer;
    const above = (value + 1) >>> 0;
    const wanted = 31 - Math.clz32(above);
    const isLarge = this.#large.code(coder, 0, wanted >>> SIZE_BITS);
    mixer.pick(isLarge);
    let node = 1;
    for (let shift = SIZE_BITS - 1; shift >= 0; shift--)
      node = (node << 1) | mixer.code(coder, node, node, (wanted >>> shift) & 1);
    const size = node - LARGE + (isLarge << SIZE_BITS);
    let number = 1;
    let shift = size - 1;
    if (size > 0) mixer.pick(hash(size, 1));
    for (const last = Math.max(0, size - MIXED_BITS); shift >= last; shift--)
      number = (number << 1) | mixer.code(coder, number, (size << 4) | number, (above >>> shift) & 1);
    for (; shift >= 0; shift--)
      number = ((number << 1) | this.#low.code(coder, (size << 5) | shift, (above >>> shift) & 1)) >>> 0;
    return (number - 1) >>> 0;
  }
}
