/** Search for the longest match in an old file, or a part of it, by its suffix array. */
import { suffixArray } from './suffix-array.ts';
import { WORD_BYTES, WordFilter } from './word-filter.ts';

/** Suffixes next to the longest match, on either side, among which one is looked for that is nearer to where it is expected. */
const NEIGHBOURS = 16;
/** Matches longer than this stand for themselves. */
const LONGEST_SHARED = 256;

export class SuffixSearch {
  readonly #old: Uint8Array;
  /** Where in the old file it begins. */
  readonly #from: number;
  readonly #sorted: Int32Array;
  readonly #words: WordFilter;
  /** The first rank of the suffixes that begin with two bytes (and the end of the last). */
  readonly #firsts = new Uint32Array((1 << 16) + 1);
  /** The longest match found last; of several the one nearest to where it is expected, as far as they were looked at. */
  length = 0;
  oldAt = 0;
  /** One that may be shorter but is nearer; else the same. */
  nearAt = 0;

  /** Of old[from..to), 2 bytes or more. It is of use until the next suffix array is made. */
  constructor(whole: Uint8Array, from: number, to: number) {
    const old = whole.subarray(from, to);
    this.#old = old;
    this.#from = from;
    this.#sorted = suffixArray(old);
    this.#words = new WordFilter(old);
    const firsts = this.#firsts;
    for (let at = 1; at < old.length; at++) firsts[((old[at - 1]! << 8) | old[at]!) + 1]!++;
    // The last suffix has one byte alone: it comes first among those that begin with it.
    firsts[old[old.length - 1]! << 8]!++;
    for (let pair = 1; pair <= 1 << 16; pair++) firsts[pair]! += firsts[pair - 1]!;
  }

  /** Sets `length`, `oldAt` and `nearAt` for what is at `at`; a length of 0 where nothing has WORD_BYTES. @param expected an old offset. */
  find(next: Uint8Array, at: number, expected: number): void {
    const old = this.#old;
    const sorted = this.#sorted;
    this.length = 0;
    if (at + WORD_BYTES > next.length || !this.#words.mayHave(next, at)) return;
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
    if (best < WORD_BYTES) return;
    this.length = best;
    this.oldAt = sorted[bestRank]!;
    this.nearAt = this.oldAt;
    if (best <= LONGEST_SHARED) {
      this.#look(next, at, expected - this.#from, bestRank, 1);
      this.#look(next, at, expected - this.#from, bestRank, -1);
    }
    this.oldAt += this.#from;
    this.nearAt += this.#from;
  }

  /** Looks at neighbours on one side; old offsets are still those of the part. */
  #look(next: Uint8Array, at: number, expected: number, from: number, step: number): void {
    const old = this.#old;
    const { length } = this;
    let distance = Math.abs(this.oldAt - expected);
    let near = Math.abs(this.nearAt - expected);
    let shared = length;
    for (let count = 0, rank = from + step; count < NEIGHBOURS; count++, rank += step) {
      if (rank < 0 || rank >= old.length) return;
      const base = this.#sorted[rank]!;
      let same = 0;
      while (same < shared && old[base + same] === next[at + same]) same++;
      shared = same;
      if (same < WORD_BYTES) return;
      const away = Math.abs(base - expected);
      if (same === length && away < distance) {
        distance = away;
        this.oldAt = base;
      }
      if (away < near) {
        near = away;
        this.nearAt = base;
      }
    }
  }
}
