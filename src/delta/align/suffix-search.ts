/** Search for the longest match in an old file by its suffix array. */
import { suffixArray } from './suffix-array.ts';

/** Suffixes with a match of the same length that are looked at on either side, for the one nearest to where it is expected. */
const NEIGHBOURS = 16;
/** Matches longer than this are seldom there twice. */
const LONGEST_SHARED = 64;

export class SuffixSearch {
  readonly #old: Uint8Array;
  readonly #sorted: Int32Array;
  /** The first rank of the suffixes that begin with two bytes (and the end of the last). */
  readonly #firsts = new Uint32Array((1 << 16) + 1);
  /** The match found last. */
  length = 0;
  oldAt = 0;

  /** Of a file of 2 bytes or more. It is of use until the next suffix array is made. */
  constructor(old: Uint8Array) {
    this.#old = old;
    this.#sorted = suffixArray(old);
    const firsts = this.#firsts;
    for (let at = 1; at < old.length; at++) firsts[((old[at - 1]! << 8) | old[at]!) + 1]!++;
    // The last suffix has one byte alone: it comes first among those that begin with it.
    firsts[old[old.length - 1]! << 8]!++;
    for (let pair = 1; pair <= 1 << 16; pair++) firsts[pair]! += firsts[pair - 1]!;
  }

  /**
   * Sets `length` and `oldAt` to the longest match of what is at `at`, if it has 2 bytes or more; of several one near `expected`.
   */
  find(next: Uint8Array, at: number, expected: number): void {
    const old = this.#old;
    const sorted = this.#sorted;
    this.length = 0;
    if (at + 2 > next.length) return;
    const pair = (next[at]! << 8) | next[at + 1]!;
    let low = this.#firsts[pair]!;
    let high = this.#firsts[pair + 1]!;
    let below = 2;
    let above = 2;
    let best = 0;
    let bestRank = 0;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const base = sorted[middle]!;
      let length = Math.min(below, above);
      const most = Math.min(old.length - base, next.length - at);
      while (length < most && old[base + length] === next[at + length]) length++;
      if (length > best) {
        best = length;
        bestRank = middle;
      }
      if (at + length < next.length && (base + length >= old.length || old[base + length]! < next[at + length]!)) {
        low = middle + 1;
        below = length;
      } else {
        high = middle;
        above = length;
      }
    }
    if (best < 2) return;
    this.length = best;
    this.oldAt = sorted[bestRank]!;
    if (best > LONGEST_SHARED) return;
    this.#look(next, at, expected, bestRank, 1);
    this.#look(next, at, expected, bestRank, -1);
  }

  #look(next: Uint8Array, at: number, expected: number, from: number, step: number): void {
    const old = this.#old;
    const { length } = this;
    let distance = Math.abs(this.oldAt - expected);
    for (let count = 0, rank = from + step; count < NEIGHBOURS; count++, rank += step) {
      if (rank < 0 || rank >= old.length) return;
      const base = this.#sorted[rank]!;
      if (base + length > old.length) return;
      let same = 0;
      while (same < length && old[base + same] === next[at + same]) same++;
      if (same < length) return;
      if (Math.abs(base - expected) >= distance) continue;
      distance = Math.abs(base - expected);
      this.oldAt = base;
    }
  }
}
