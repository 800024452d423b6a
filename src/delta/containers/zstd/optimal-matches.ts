/**
 * All matches at a place that are longer than any nearer one, as zstd's optimal strategies see them (levels 16 to 22; the source of versions 1.5 is the
 * reference): repeated offsets, one match of three bytes, then those on the way down a binary tree.
 */
import { commonLength, Hasher, hash3, viewOf } from './hash.ts';
import { enteredFrom, FIRST_INDEX, moveIndexes } from './match-finder.ts';
import type { Parameters } from './parameters.ts';
import { SearchBudget } from './search-budget.ts';
import { enterIntoTree } from './sorted-tree.ts';

/** Places that prices are kept for: a match as long ends the search. */
export const MAX_PLACES = 1 << 12;

const REACH = 8;
const MAX_HASH3_LOG = 17;

/** A match of three bytes that is farther is too dear. */
const MAX_HASH3_DISTANCE = 1 << 18;

export class OptimalMatches {
  readonly lengths = new Uint32Array(MAX_PLACES + 1);
  /** As the format counts. */
  readonly offsets = new Uint32Array(MAX_PLACES + 1);
  readonly minMatch: number;
  /** Matches longer than this are taken at once. */
  readonly sufficient: number;
  readonly #parameters: Parameters;
  readonly #windowSize: number;
  readonly #hasher: Hasher;
  readonly #last: Int32Array;
  readonly #tree: Int32Array;
  readonly #mask: number;
  readonly #log3: number;
  readonly #last3: Int32Array;
  readonly #budget = new SearchBudget();
  #bytes: Uint8Array = new Uint8Array(0);
  #content = viewOf(this.#bytes);
  #end = 0;
  #lowest = FIRST_INDEX;
  #next = FIRST_INDEX;
  #next3 = FIRST_INDEX;

  constructor(parameters: Parameters) {
    this.#parameters = parameters;
    const { minMatch, hashLog, chainLog, windowLog, targetLength } = parameters;
    this.minMatch = minMatch === 3 ? 3 : 4;
    this.sufficient = Math.min(targetLength, MAX_PLACES - 1);
    this.#windowSize = 2 ** windowLog;
    this.#hasher = new Hasher(Math.max(4, Math.min(minMatch, 6)), hashLog);
    this.#last = new Int32Array(1 << hashLog);
    this.#tree = new Int32Array(1 << chainLog);
    this.#mask = (1 << (chainLog - 1)) - 1;
    this.#log3 = minMatch === 3 ? Math.min(MAX_HASH3_LOG, windowLog) : 0;
    this.#last3 = new Int32Array(this.#log3 === 0 ? 0 : 1 << this.#log3);
  }

  load(bytes: Uint8Array, end: number): void {
    this.#bytes = bytes;
    this.#content = viewOf(bytes);
    this.#end = end;
    this.#last.fill(0);
    this.#tree.fill(0);
    this.#last3.fill(0);
    this.#lowest = FIRST_INDEX;
    this.#next = FIRST_INDEX;
    if (end - FIRST_INDEX <= REACH) return;
    this.#budget.refill(end);
    this.#enterUpTo(end - REACH);
    this.#next = end;
  }

  startBlock(bytes: Uint8Array, start: number, end: number): void {
    this.#bytes = bytes;
    this.#content = viewOf(bytes);
    this.#end = end;
    this.#budget.refill(end - start);
    this.#lowest = Math.max(FIRST_INDEX, start - this.#windowSize);
    this.#next = Math.max(this.#lowest, enteredFrom(this.#next, start));
    this.#next3 = this.#next;
  }

  move(by: number): void {
    moveIndexes(this.#last, by);
    moveIndexes(this.#tree, by);
    moveIndexes(this.#last3, by);
    this.#next = Math.max(FIRST_INDEX, this.#next - by);
  }

  /**
   * Finds matches at a place and enters it. @returns how many there are, each longer than the one before.
   * @param isBehindMatch whether no literals are before it: other offsets are repeated then.
   */
  find(at: number, first: number, second: number, third: number, isBehindMatch: boolean): number {
    if (at < this.#next || this.#budget.left <= 0) return 0;
    this.#enterUpTo(at);
    const lowest = Math.max(this.#lowest, at - this.#windowSize);
    let count = 0;
    let longest = this.minMatch - 1;
    for (let which = 0; which < 3; which++) {
      const offset = isBehindMatch
        ? which === 0
          ? second
          : which === 1
            ? third
            : first - 1
        : which === 0
          ? first
          : which === 1
            ? second
            : third;
      const length = this.#repeatedLength(at, offset, lowest);
      if (length <= longest) continue;
      longest = length;
      this.lengths[count] = length;
      this.offsets[count++] = which + 1;
      if (length > this.sufficient || at + length === this.#end) return count;
    }
    if (this.#log3 > 0 && longest < 3) {
      const index = this.#enterUpTo3(at);
      if (index >= lowest && at - index < MAX_HASH3_DISTANCE) {
        const length = commonLength(this.#content, at, index, this.#end);
        if (length >= 3) {
          longest = length;
          this.lengths[0] = length;
          this.offsets[0] = at - index + 3;
          count = 1;
          if (length > this.sufficient || at + length === this.#end) {
            this.#next = at + 1;
            return 1;
          }
        }
      }
    }
    return this.#descend(at, lowest, count, longest);
  }

  #repeatedLength(at: number, offset: number, lowest: number): number {
    if (offset < 1 || at - offset < lowest) return 0;
    const bytes = this.#bytes;
    const content = this.#content;
    const from = at - offset;
    const isSame =
      this.minMatch === 3
        ? bytes[at] === bytes[from] && bytes[at + 1] === bytes[from + 1] && bytes[at + 2] === bytes[from + 2]
        : content.getInt32(at, true) === content.getInt32(from, true);
    if (!isSame) return 0;
    const length = commonLength(content, at, from, this.#end);
    this.#budget.left -= length;
    return length;
  }

  #enterUpTo(at: number): void {
    const bytes = this.#bytes;
    const lowest = Math.max(this.#lowest, at - this.#windowSize);
    let index = this.#next;
    while (index < at) {
      const hash = this.#hasher.of(this.#content, index);
      index += enterIntoTree(
        bytes,
        index,
        this.#end,
        lowest,
        hash,
        this.#last,
        this.#tree,
        this.#parameters,
        this.#budget,
      );
    }
    this.#next = at;
  }

  #enterUpTo3(at: number): number {
    for (let index = this.#next3; index < at; index++) this.#last3[hash3(this.#content, index, this.#log3)] = index;
    this.#next3 = at;
    return this.#last3[hash3(this.#content, at, this.#log3)]!;
  }

  #descend(at: number, lowest: number, found: number, foundLength: number): number {
    const bytes = this.#bytes;
    const end = this.#end;
    const tree = this.#tree;
    const mask = this.#mask;
    const treeLowest = Math.max(0, at - mask);
    const hash = this.#hasher.of(this.#content, at);
    let count = found;
    let longest = foundLength;
    let smaller = (at & mask) << 1;
    let larger = smaller + 1;
    let smallerLength = 0;
    let largerLength = 0;
    let reach = at + REACH + 1;
    let work = 0;
    let index = this.#last[hash]!;
    this.#last[hash] = at;
    for (let left = 1 << this.#parameters.searchLog; left > 0 && index >= lowest && index < at; left--) {
      const node = (index & mask) << 1;
      let length = Math.min(smallerLength, largerLength);
      work += 1 - length;
      while (at + length < end && bytes[at + length] === bytes[index + length]) length++;
      work += length;
      if (length > longest) {
        if (length > reach - index) reach = index + length;
        longest = length;
        this.lengths[count] = length;
        this.offsets[count++] = at - index + 3;
        if (length > MAX_PLACES || at + length === end) break;
      }
      if (bytes[index + length]! < bytes[at + length]!) {
        tree[smaller] = index;
        smallerLength = length;
        smaller = node + 1;
        if (index <= treeLowest) {
          smaller = -1;
          break;
        }
        index = tree[node + 1]!;
      } else {
        tree[larger] = index;
        largerLength = length;
        larger = node;
        if (index <= treeLowest) {
          larger = -1;
          break;
        }
        index = tree[node]!;
      }
    }
    if (smaller >= 0) tree[smaller] = 0;
    if (larger >= 0) tree[larger] = 0;
    this.#budget.left -= work;
    this.#next = reach - REACH;
    return count;
  }
}
