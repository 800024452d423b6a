/**
 * Adaptive probabilities of bits: each slot holds a probability of 22 bits and a count of 10 bits. The more a slot has seen, the slower it
 * moves, down to a limit (as the state maps of lpaq do).
 */
import type { BitCoder } from './range-coder.ts';

const COUNT_BITS = 10;
const COUNT_MASK = (1 << COUNT_BITS) - 1;
const PROBABILITY_MASK = ~COUNT_MASK;

/** A probability of one half that has seen nothing. */
const FRESH_SLOT = 1 << 31;

/** How far a slot moves after so many bits, in 1/65536 of 8 times the error. */
const STEPS = Int32Array.from({ length: COUNT_MASK + 1 }, (_, count) => Math.floor(16384 / (count + count + 3)));

export class BitModels {
  readonly #slots: Int32Array;
  readonly #limit: number;

  /** @param limit bits after which a slot moves no slower: up to 1023. */
  constructor(slots: number, limit: number) {
    this.#slots = new Int32Array(slots).fill(FRESH_SLOT);
    this.#limit = limit;
  }

  /** Codes one bit by a slot, which learns it. */
  code(coder: BitCoder, slot: number, bit: number): number {
    const one = this.#slots[slot]! >>> 16;
    const coded = coder.code(one === 0 ? 1 : one, bit);
    this.learn(slot, coded);
    return coded;
  }

  /** A slot learns a bit that was not coded by it. */
  learn(slot: number, coded: number): void {
    const state = this.#slots[slot]!;
    const count = state & COUNT_MASK;
    const moved = Math.imul(((coded << 22) - (state >>> COUNT_BITS)) >> 3, STEPS[count]!) & PROBABILITY_MASK;
    this.#slots[slot] = state + moved + (count < this.#limit ? 1 : 0);
  }

  /** How likely a slot says that a one comes, in 1/65536. */
  probability(slot: number): number {
    return this.#slots[slot]! >>> 16;
  }

  /** Codes a number of `bits` bits, highest first, by the slots `first + 1` to `first + 2^bits - 1`. */
  codeTree(coder: BitCoder, first: number, bits: number, value: number): number {
    let node = 1;
    for (let shift = bits - 1; shift >= 0; shift--)
      node = (node << 1) | this.code(coder, first + node, (value >>> shift) & 1);
    return node - (1 << bits);
  }
}
