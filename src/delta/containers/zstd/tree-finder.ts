/**
 * Matches by binary trees that are sorted late, as zstd's encoder finds them at levels 13 to 15 (the source of versions 1.5 is the reference): places
 * with one hash are chained first, and brought into the order of the bytes that follow them when a search comes by.
 */
import { Hasher, viewOf } from './hash.ts';
import { enteredFrom, FIRST_INDEX, type MatchFinder, moveIndexes } from './match-finder.ts';
import type { Parameters } from './parameters.ts';
import { SearchBudget } from './search-budget.ts';
import { enterIntoTree } from './sorted-tree.ts';

/** In place of the larger neighbour: the place is only chained. */
const UNSORTED = 1;

/** Bytes that a match reaches beyond before places are passed over. */
const REACH = 8;

export class TreeFinder implements MatchFinder {
  readonly margin = 8;
  offset = 0;
  isSkipping = false;
  readonly #parameters: Parameters;
  readonly #hasher: Hasher;
  readonly #last: Int32Array;
  /** By place the next smaller and the next larger one. */
  readonly #tree: Int32Array;
  readonly #mask: number;
  readonly #budget = new SearchBudget();
  #bytes: Uint8Array = new Uint8Array(0);
  #content = viewOf(this.#bytes);
  #end = 0;
  #lowest = FIRST_INDEX;
  #next = FIRST_INDEX;

  constructor(parameters: Parameters) {
    this.#parameters = parameters;
    this.#hasher = new Hasher(Math.max(4, Math.min(parameters.minMatch, 6)), parameters.hashLog);
    this.#last = new Int32Array(1 << parameters.hashLog);
    this.#tree = new Int32Array(1 << parameters.chainLog);
    this.#mask = (1 << (parameters.chainLog - 1)) - 1;
  }

  load(bytes: Uint8Array, end: number): void {
    this.#bytes = bytes;
    this.#content = viewOf(bytes);
    this.#last.fill(0);
    this.#tree.fill(0);
    this.#next = FIRST_INDEX;
    if (end - FIRST_INDEX <= REACH) return;
    this.#budget.refill(end);
    // What is known before is sorted at once.
    const hasher = new Hasher(Math.max(4, Math.min(this.#parameters.minMatch, 8)), this.#parameters.hashLog);
    const windowSize = 2 ** this.#parameters.windowLog;
    const target = end - REACH;
    const lowest = Math.max(FIRST_INDEX, target - windowSize);
    for (let at = FIRST_INDEX; at < target; )
      at += enterIntoTree(
        bytes,
        at,
        end,
        lowest,
        hasher.of(this.#content, at),
        this.#last,
        this.#tree,
        this.#parameters,
        this.#budget,
      );
    this.#next = end;
  }

  startBlock(bytes: Uint8Array, start: number, end: number): void {
    this.#bytes = bytes;
    this.#content = viewOf(bytes);
    this.#end = end;
    this.#budget.refill(end - start);
    this.#lowest = Math.max(FIRST_INDEX, start - 2 ** this.#parameters.windowLog);
    this.#next = Math.max(this.#lowest, enteredFrom(this.#next, start));
  }

  find(at: number, lowest: number): number {
    if (at < this.#next || this.#budget.left <= 0) return 0;
    this.#chainUpTo(at);
    const hash = this.#hasher.of(this.#content, at);
    const treeLowest = Math.max(0, at - this.#mask);
    this.#sort(this.#last[hash]!, Math.max(treeLowest, lowest));
    return this.#search(at, hash, treeLowest, lowest);
  }

  move(by: number): void {
    moveIndexes(this.#last, by);
    const tree = this.#tree;
    for (let node = 0; node < tree.length; node += 2) {
      const isUnsorted = tree[node + 1] === UNSORTED;
      tree[node] = Math.max(0, tree[node]! - by);
      tree[node + 1] = isUnsorted ? UNSORTED : Math.max(0, tree[node + 1]! - by);
    }
    this.#next = Math.max(FIRST_INDEX, this.#next - by);
  }

  #chainUpTo(at: number): void {
    const tree = this.#tree;
    for (let index = this.#next; index < at; index++) {
      const hash = this.#hasher.of(this.#content, index);
      const node = (index & this.#mask) << 1;
      tree[node] = this.#last[hash]!;
      tree[node + 1] = UNSORTED;
      this.#last[hash] = index;
    }
    this.#next = at;
  }

  /** Sorts places that are only chained, from `first` on, the earliest one first. */
  #sort(first: number, limit: number): void {
    const tree = this.#tree;
    const mask = this.#mask;
    let left = 1 << this.#parameters.searchLog;
    let index = first;
    let previous = 0;
    let node = (index & mask) << 1;
    for (; index > limit && tree[node + 1] === UNSORTED && left > 1; left--) {
      // The way back takes the place of the mark.
      tree[node + 1] = previous;
      previous = index;
      index = tree[node]!;
      node = (index & mask) << 1;
    }
    if (index > limit && tree[node + 1] === UNSORTED) {
      tree[node] = 0;
      tree[node + 1] = 0;
    }
    for (index = previous; index !== 0; left++) {
      const next = tree[((index & mask) << 1) + 1]!;
      this.#insert(index, left, limit);
      index = next;
    }
  }

  /** Brings one place, whose smaller neighbour is where the sorted ones begin, into the tree. */
  #insert(at: number, compares: number, treeLowest: number): void {
    const bytes = this.#bytes;
    const end = this.#end;
    const tree = this.#tree;
    const mask = this.#mask;
    const windowSize = 2 ** this.#parameters.windowLog;
    const lowest = Math.max(this.#lowest, at - windowSize);
    let smaller = (at & mask) << 1;
    let larger = smaller + 1;
    let smallerLength = 0;
    let largerLength = 0;
    let work = 0;
    let index = tree[smaller]!;
    for (let left = compares; left > 0 && index > lowest; left--) {
      const node = (index & mask) << 1;
      let length = Math.min(smallerLength, largerLength);
      work += 1 - length;
      while (at + length < end && bytes[at + length] === bytes[index + length]) length++;
      work += length;
      if (at + length === end) break;
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
    this.#budget.left -= work;
    if (smaller >= 0) tree[smaller] = 0;
    if (larger >= 0) tree[larger] = 0;
  }

  /** Brings a place into the tree and looks for its longest match, in relation to what its offset costs. */
  #search(at: number, hash: number, treeLowest: number, lowest: number): number {
    const bytes = this.#bytes;
    const end = this.#end;
    const tree = this.#tree;
    const mask = this.#mask;
    let smaller = (at & mask) << 1;
    let larger = smaller + 1;
    let smallerLength = 0;
    let largerLength = 0;
    let work = 0;
    let reach = at + REACH + 1;
    let longest = 0;
    // A first match is worth more than a very large offset costs.
    let offsetLog = INITIAL_OFFSET_LOG;
    let index = this.#last[hash]!;
    this.#last[hash] = at;
    for (let left = 1 << this.#parameters.searchLog; left > 0 && index > lowest; left--) {
      const node = (index & mask) << 1;
      let length = Math.min(smallerLength, largerLength);
      work += 1 - length;
      while (at + length < end && bytes[at + length] === bytes[index + length]) length++;
      work += length;
      if (length > longest) {
        if (length > reach - index) reach = index + length;
        const offset = at - index;
        if (4 * (length - longest) > 31 - Math.clz32(offset + 1) - offsetLog) {
          longest = length;
          this.offset = offset;
          offsetLog = 31 - Math.clz32(offset + 3);
        }
        if (at + length === end) break;
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
    this.#budget.left -= work;
    if (smaller >= 0) tree[smaller] = 0;
    if (larger >= 0) tree[larger] = 0;
    this.#next = reach - REACH;
    return longest;
  }
}

/** That of 999999999, with which the encoder begins. */
const INITIAL_OFFSET_LOG = 29;
