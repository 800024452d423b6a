/**
 * Mixing of what four contexts say about a bit (logistic mixing with gradient descent, as in paq and lpaq by M. Mahoney). Integers only: every
 * machine gets the same.
 */
import { freeMemory } from '../../core/bytes.ts';
import { LOGISTIC_LIMIT, SQUASH, STRETCH } from './logistic.ts';
import type { BitCoder } from './range-coder.ts';

/** Contexts of a mixer: each costs about a sixth of the time that a bit takes. */
const INPUTS = 4;

/** Weights are in 1/65536; those of a set that has seen nothing add up to 1.2. */
const FIRST_WEIGHT = 19661;

/** A slot: probability (13 bits), count (3 bits). */
const FRESH = 1 << 15;
const COUNT_MASK = 7;
const COUNT_BITS = 3;
const PROBABILITY_MASK = ~COUNT_MASK;

/** Slots of one bucket: the check of its context, and 15 for the bits of half a byte. */
const BUCKET = 16;

/** The least probability that is coded, and what is as near to one. */
const LEAST = 8;
const MOST = 65536 - LEAST;

/** Keeps the mix below the limits of the logistic domain. */
const LARGEST_SUM = (LOGISTIC_LIMIT - 1) << 16;
const ROUND = 1 << 17;

/** Half a unit of a probability, in 1/32768 of a slot's unit: moves are rounded. */
const HALF = 1 << (14 + COUNT_BITS);

/** Mixes two numbers well enough for a context. */
export function hash(a: number, b: number): number {
  const mixed = Math.imul(a ^ Math.imul(b, 0x85ebca6b), 0x9e3779b1);
  return mixed ^ (mixed >>> 15);
}

function spread(context: number): number {
  const once = Math.imul(context, 0x2c1b3c6d);
  const twice = Math.imul(once ^ (once >>> 15), 0x297a2d39);
  return twice ^ (twice >>> 15);
}

/** How far a slot moves after 0 to 7 bits, in 1/32768 of the error; it stays at the last one. */
export type Steps = Int32Array;

/** A step for each divisor of the error. */
export function stepsOf(divisors: readonly number[]): Steps {
  return Int32Array.from(divisors, (divisor) => Math.floor(32768 / divisor));
}

export interface MixerOptions {
  /** Slots of one context, as a power of two. */
  readonly slotBits: number;
  /** Sets of weights. */
  readonly sets: number;
  readonly steps: Steps;
  /** How fast weights move. */
  readonly rate: number;
}

export class Mixer {
  /** Contexts, set by the caller before it picks. */
  c0 = 0;
  c1 = 0;
  c2 = 0;
  c3 = 0;
  readonly #slots: Uint16Array;
  readonly #slotBits: number;
  readonly #weights: Int32Array;
  readonly #steps: Steps;
  readonly #rate: number;
  /** Where the slots of the contexts are. */
  #at0 = 0;
  #at1 = 0;
  #at2 = 0;
  #at3 = 0;

  constructor({ slotBits, sets, steps, rate }: MixerOptions) {
    this.#slots = new Uint16Array(INPUTS << slotBits).fill(FRESH);
    this.#slotBits = slotBits;
    this.#weights = new Int32Array(sets * INPUTS).fill(FIRST_WEIGHT);
    this.#steps = steps;
    this.#rate = rate;
  }

  /** Gives the tables' memory back; nothing can be coded afterwards. */
  free(): void {
    freeMemory(this.#slots);
  }

  /** Finds a bucket for each context: for the next four bits, coded with nodes 1 to 15. `salt` tells halves of a byte apart. */
  pick(salt: number): void {
    const slots = this.#slots;
    const bits = this.#slotBits;
    const mask = (1 << bits) - BUCKET;
    const spread0 = spread((this.c0 + salt) | 0);
    const spread1 = spread((this.c1 + salt) | 0);
    const spread2 = spread((this.c2 + salt) | 0);
    const spread3 = spread((this.c3 + salt) | 0);
    const at0 = spread0 & mask;
    const at1 = (1 << bits) + (spread1 & mask);
    const at2 = (2 << bits) + (spread2 & mask);
    const at3 = (3 << bits) + (spread3 & mask);
    const check0 = (spread0 >>> 16) | 1;
    const check1 = (spread1 >>> 16) | 1;
    const check2 = (spread2 >>> 16) | 1;
    const check3 = (spread3 >>> 16) | 1;
    // All are read before the first one is looked at: what is not in the cache comes at the same time.
    const slot0 = slots[at0]!;
    const slot1 = slots[at1]!;
    const slot2 = slots[at2]!;
    const slot3 = slots[at3]!;
    this.#at0 = slot0 === check0 ? at0 : this.#bucket(at0, check0);
    this.#at1 = slot1 === check1 ? at1 : this.#bucket(at1, check1);
    this.#at2 = slot2 === check2 ? at2 : this.#bucket(at2, check2);
    this.#at3 = slot3 === check3 ? at3 : this.#bucket(at3, check3);
  }

  /**
   * Codes one bit by the slots that were picked last, all of which learn it.
   * @param node within a bucket. @param set of weights.
   */
  code(coder: BitCoder, node: number, set: number, bit: number): number {
    const slots = this.#slots;
    const weights = this.#weights;
    const first = set << 2;
    const at0 = this.#at0 + node;
    const at1 = this.#at1 + node;
    const at2 = this.#at2 + node;
    const at3 = this.#at3 + node;
    const slot0 = slots[at0]!;
    const slot1 = slots[at1]!;
    const slot2 = slots[at2]!;
    const slot3 = slots[at3]!;
    const x0 = STRETCH[slot0 >>> 4]!;
    const x1 = STRETCH[slot1 >>> 4]!;
    const x2 = STRETCH[slot2 >>> 4]!;
    const x3 = STRETCH[slot3 >>> 4]!;
    const weight0 = weights[first]!;
    const weight1 = weights[first + 1]!;
    const weight2 = weights[first + 2]!;
    const weight3 = weights[first + 3]!;
    const sum =
      (((Math.imul(x0, weight0) + Math.imul(x1, weight1)) | 0) +
        ((Math.imul(x2, weight2) + Math.imul(x3, weight3)) | 0)) |
      0;
    const place = (Math.max(-LARGEST_SUM, Math.min(sum, LARGEST_SUM)) >> 16) + LOGISTIC_LIMIT;
    const mix = SQUASH[place]!;
    const one = Math.max(LEAST, Math.min(mix, MOST));
    const coded = coder.code(one, bit);
    const target = (coded << 16) - coded;
    const error = Math.imul(target - mix, this.#rate);
    weights[first] = weight0 + ((Math.imul(x0, error) + ROUND) >> 18);
    weights[first + 1] = weight1 + ((Math.imul(x1, error) + ROUND) >> 18);
    weights[first + 2] = weight2 + ((Math.imul(x2, error) + ROUND) >> 18);
    weights[first + 3] = weight3 + ((Math.imul(x3, error) + ROUND) >> 18);
    const goal = (coded << 16) - (coded << COUNT_BITS);
    const steps = this.#steps;
    slots[at0] = moved(slot0, goal, steps);
    slots[at1] = moved(slot1, goal, steps);
    slots[at2] = moved(slot2, goal, steps);
    slots[at3] = moved(slot3, goal, steps);
    return coded;
  }

  /** The bucket of a context that is not at `at`: its neighbour, or the less used one of the two. */
  #bucket(at: number, check: number): number {
    const slots = this.#slots;
    const other = at ^ BUCKET;
    if (slots[other] === check) return other;
    const taken = (slots[at + 1]! & COUNT_MASK) <= (slots[other + 1]! & COUNT_MASK) ? at : other;
    slots[taken] = check;
    for (let slot = taken + 1; slot < taken + BUCKET; slot++) slots[slot] = FRESH;
    return taken;
  }
}

function moved(slot: number, goal: number, steps: Steps): number {
  const count = slot & COUNT_MASK;
  const probability = slot & PROBABILITY_MASK;
  const step = ((Math.imul(goal - probability, steps[count]!) + HALF) >> 15) & PROBABILITY_MASK;
  return probability + step + count + (count < COUNT_MASK ? 1 : 0);
}
