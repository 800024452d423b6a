/**
 * Mixing of what six contexts say about a bit (logistic mixing with gradient descent, as in paq and lpaq by M. Mahoney), then a correction
 * of the mix by what came of it (adaptive probability map). Integers only: every machine gets the same.
 */
import { freeMemory } from '../../core/bytes.ts';
import { LOGISTIC_LIMIT, SQUASH, STRETCH } from './logistic.ts';
import type { BitCoder } from './range-coder.ts';

/** Contexts of a mixer. */
const INPUTS = 6;

/** Weights are in 1/65536; those of a set that has seen nothing add up to 1.2. */
const FIRST_WEIGHT = 13107;

/** A slot: probability (18 bits), check of the context (8 bits), count (6 bits). */
const FRESH = 1 << 31;
const COUNT_MASK = 63;
const CHECK_SHIFT = 6;
const CHECK_MASK = 255;

/** How far a slot moves after so many bits, in 1/16384 of the error. */
const STEPS = Int32Array.from({ length: COUNT_MASK + 1 }, (_, count) => Math.floor(32768 / (2 * count + 3)));

/** Slots of one bucket: 15 for the bits of half a byte, and the check of its context. */
const BUCKET = 16;

/** Points of a correction: the logistic domain in equal parts. */
const POINTS = 33;
const POINT_DISTANCE = 176;
/** floor(a / 176) = floor(a * 23832 / 2^22) for what is divided here. */
const POINT_RECIPROCAL = 23832;
const POINT_RECIPROCAL_BITS = 22;
const CORRECTION_SHIFT = 6;

/** The least probability that is coded, and what is as near to one. */
const LEAST = 8;
const MOST = 65536 - LEAST;

/** Keeps the mix below the limits of the logistic domain. */
const LARGEST_SUM = (LOGISTIC_LIMIT - 1) << 16;
const ROUND = 1 << 17;

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

export interface MixerOptions {
  /** Slots of one context, as a power of two. */
  readonly slotBits: number;
  /** Sets of weights. */
  readonly sets: number;
  readonly corrections: number;
  /** Bits after which a slot moves no slower: up to 63. */
  readonly limit: number;
  /** How fast weights move. */
  readonly rate: number;
}

export class Mixer {
  /** Contexts, set by the caller before it picks. */
  c0 = 0;
  c1 = 0;
  c2 = 0;
  c3 = 0;
  c4 = 0;
  c5 = 0;
  readonly #slots: Int32Array;
  readonly #slotBits: number;
  readonly #weights: Int32Array;
  readonly #corrections: Uint16Array;
  readonly #limit: number;
  readonly #rate: number;
  /** Where the slots of the contexts are. */
  #at0 = 0;
  #at1 = 0;
  #at2 = 0;
  #at3 = 0;
  #at4 = 0;
  #at5 = 0;

  constructor({ slotBits, sets, corrections, limit, rate }: MixerOptions) {
    this.#slots = new Int32Array(INPUTS << slotBits).fill(FRESH);
    this.#slotBits = slotBits;
    this.#weights = new Int32Array(sets * INPUTS).fill(FIRST_WEIGHT);
    this.#corrections = new Uint16Array(corrections * POINTS);
    for (let at = 0; at < this.#corrections.length; at++)
      this.#corrections[at] = SQUASH[(at % POINTS) * POINT_DISTANCE]!;
    this.#limit = limit;
    this.#rate = rate;
  }

  /** Gives the tables' memory back; nothing can be coded afterwards. */
  free(): void {
    freeMemory(this.#slots);
  }

  /** Finds one slot for each context: for bits that are coded with node 0. */
  pick(): void {
    const slots = this.#slots;
    const bits = this.#slotBits;
    const mask = (1 << bits) - 1;
    const mixed0 = spread(this.c0);
    const mixed1 = spread(this.c1);
    const mixed2 = spread(this.c2);
    const mixed3 = spread(this.c3);
    const mixed4 = spread(this.c4);
    const mixed5 = spread(this.c5);
    const at0 = (0 << bits) + (mixed0 & mask);
    const at1 = (1 << bits) + (mixed1 & mask);
    const at2 = (2 << bits) + (mixed2 & mask);
    const at3 = (3 << bits) + (mixed3 & mask);
    const at4 = (4 << bits) + (mixed4 & mask);
    const at5 = (5 << bits) + (mixed5 & mask);
    // All are read before the first one is looked at: what is not in the cache comes at the same time.
    const slot0 = slots[at0]!;
    const slot1 = slots[at1]!;
    const slot2 = slots[at2]!;
    const slot3 = slots[at3]!;
    const slot4 = slots[at4]!;
    const slot5 = slots[at5]!;
    this.#at0 = this.#slot(at0, slot0, mixed0 >>> 24);
    this.#at1 = this.#slot(at1, slot1, mixed1 >>> 24);
    this.#at2 = this.#slot(at2, slot2, mixed2 >>> 24);
    this.#at3 = this.#slot(at3, slot3, mixed3 >>> 24);
    this.#at4 = this.#slot(at4, slot4, mixed4 >>> 24);
    this.#at5 = this.#slot(at5, slot5, mixed5 >>> 24);
  }

  /** Finds a bucket for each context: for the next four bits, coded with nodes 1 to 15. `salt` tells halves of a byte apart. */
  pickBuckets(salt: number): void {
    const slots = this.#slots;
    const bits = this.#slotBits;
    const mask = (1 << bits) - BUCKET;
    const check0 = spread((this.c0 + salt) | 0) | 1;
    const check1 = spread((this.c1 + salt) | 0) | 1;
    const check2 = spread((this.c2 + salt) | 0) | 1;
    const check3 = spread((this.c3 + salt) | 0) | 1;
    const check4 = spread((this.c4 + salt) | 0) | 1;
    const check5 = spread((this.c5 + salt) | 0) | 1;
    const at0 = (0 << bits) + (check0 & mask);
    const at1 = (1 << bits) + (check1 & mask);
    const at2 = (2 << bits) + (check2 & mask);
    const at3 = (3 << bits) + (check3 & mask);
    const at4 = (4 << bits) + (check4 & mask);
    const at5 = (5 << bits) + (check5 & mask);
    const slot0 = slots[at0]!;
    const slot1 = slots[at1]!;
    const slot2 = slots[at2]!;
    const slot3 = slots[at3]!;
    const slot4 = slots[at4]!;
    const slot5 = slots[at5]!;
    this.#at0 = slot0 === check0 ? at0 : this.#bucket(at0, check0);
    this.#at1 = slot1 === check1 ? at1 : this.#bucket(at1, check1);
    this.#at2 = slot2 === check2 ? at2 : this.#bucket(at2, check2);
    this.#at3 = slot3 === check3 ? at3 : this.#bucket(at3, check3);
    this.#at4 = slot4 === check4 ? at4 : this.#bucket(at4, check4);
    this.#at5 = slot5 === check5 ? at5 : this.#bucket(at5, check5);
  }

  /**
   * Codes one bit by the slots that were picked last, all of which learn it.
   * @param node within a bucket. @param set of weights. @param correction the map that corrects the mix.
   */
  code(coder: BitCoder, node: number, set: number, correction: number, bit: number): number {
    const slots = this.#slots;
    const weights = this.#weights;
    const corrections = this.#corrections;
    const first = Math.imul(set, INPUTS);
    const at0 = this.#at0 + node;
    const slot0 = slots[at0]!;
    const x0 = STRETCH[slot0 >>> 20]!;
    const weight0 = weights[first + 0]!;
    const at1 = this.#at1 + node;
    const slot1 = slots[at1]!;
    const x1 = STRETCH[slot1 >>> 20]!;
    const weight1 = weights[first + 1]!;
    const at2 = this.#at2 + node;
    const slot2 = slots[at2]!;
    const x2 = STRETCH[slot2 >>> 20]!;
    const weight2 = weights[first + 2]!;
    const at3 = this.#at3 + node;
    const slot3 = slots[at3]!;
    const x3 = STRETCH[slot3 >>> 20]!;
    const weight3 = weights[first + 3]!;
    const at4 = this.#at4 + node;
    const slot4 = slots[at4]!;
    const x4 = STRETCH[slot4 >>> 20]!;
    const weight4 = weights[first + 4]!;
    const at5 = this.#at5 + node;
    const slot5 = slots[at5]!;
    const x5 = STRETCH[slot5 >>> 20]!;
    const weight5 = weights[first + 5]!;
    let sum = 0;
    sum = (sum + Math.imul(x0, weight0)) | 0;
    sum = (sum + Math.imul(x1, weight1)) | 0;
    sum = (sum + Math.imul(x2, weight2)) | 0;
    sum = (sum + Math.imul(x3, weight3)) | 0;
    sum = (sum + Math.imul(x4, weight4)) | 0;
    sum = (sum + Math.imul(x5, weight5)) | 0;
    const mixed = Math.max(-LARGEST_SUM, Math.min(sum, LARGEST_SUM)) >> 16;
    const mix = SQUASH[mixed + LOGISTIC_LIMIT]!;
    const place = mixed + LOGISTIC_LIMIT;
    const point = Math.imul(place, POINT_RECIPROCAL) >>> POINT_RECIPROCAL_BITS;
    const above = place - Math.imul(point, POINT_DISTANCE);
    const low = Math.imul(correction, POINTS) + point;
    const corrected =
      Math.imul(corrections[low]! >>> 1, POINT_DISTANCE - above) + Math.imul(corrections[low + 1]! >>> 1, above);
    // Half of the mix, half of what it is corrected to: 23831 / 2^21 is 1 / 88.
    const mean = (mix + (Math.imul(corrected >>> 7, 23831) >>> 14)) >>> 1;
    const one = Math.max(LEAST, Math.min(mean, MOST));
    const coded = coder.code(one, bit);
    const target = (coded << 16) - coded;
    const nearest = low + (above > POINT_DISTANCE / 2 ? 1 : 0);
    const correctedTo = corrections[nearest]!;
    corrections[nearest] = correctedTo + ((target - correctedTo) >> CORRECTION_SHIFT);
    const error = Math.imul(target - mix, this.#rate);
    const goal = coded << 18;
    const limit = this.#limit;
    weights[first + 0] = weight0 + ((Math.imul(x0, error) + ROUND) >> 18);
    slots[at0] = moved(slot0, goal, limit);
    weights[first + 1] = weight1 + ((Math.imul(x1, error) + ROUND) >> 18);
    slots[at1] = moved(slot1, goal, limit);
    weights[first + 2] = weight2 + ((Math.imul(x2, error) + ROUND) >> 18);
    slots[at2] = moved(slot2, goal, limit);
    weights[first + 3] = weight3 + ((Math.imul(x3, error) + ROUND) >> 18);
    slots[at3] = moved(slot3, goal, limit);
    weights[first + 4] = weight4 + ((Math.imul(x4, error) + ROUND) >> 18);
    slots[at4] = moved(slot4, goal, limit);
    weights[first + 5] = weight5 + ((Math.imul(x5, error) + ROUND) >> 18);
    slots[at5] = moved(slot5, goal, limit);
    return coded;
  }

  /** The slot of a context: one of two neighbours. The less used one is taken over where neither is the context's. */
  #slot(at: number, here: number, check: number): number {
    if (((here >>> CHECK_SHIFT) & CHECK_MASK) === check) return at;
    const slots = this.#slots;
    const there = slots[at ^ 1]!;
    if (((there >>> CHECK_SHIFT) & CHECK_MASK) === check) return at ^ 1;
    const taken = (here & COUNT_MASK) <= (there & COUNT_MASK) ? at : at ^ 1;
    slots[taken] = FRESH | (check << CHECK_SHIFT);
    return taken;
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

function moved(slot: number, goal: number, limit: number): number {
  const count = slot & COUNT_MASK;
  const step = Math.imul(goal - (slot >>> 14), STEPS[count]!) & -16384;
  return (slot + step + (count < limit ? 1 : 0)) | 0;
}
