/**
 * Matches by rows of hashes, as zstd's encoder finds them at levels 5 to 12 (the source of versions 1.5.0 to 1.5.7 is the reference): the
 * hash of a place picks a row of 16 to 64 places, the last one first; eight more bits of it tell which of them are looked at.
 */
import { commonLength, Hasher, viewOf } from './hash.ts';
import { enteredFrom, FIRST_INDEX, type MatchFinder, moveIndexes, SHORTEST } from './match-finder.ts';
import type { Parameters } from './parameters.ts';
import { SearchBudget } from './search-budget.ts';

const TAG_BITS = 8;
const TAG_MASK = 0xff;

/** Gaps above this are entered at their ends only. */
const LONG_GAP = 384;
const ENTERED_AT_START = 96;
const ENTERED_AT_END = 32;

/** Bytes at the end of what is known before a section that are not entered. */
const UNENTERED = 8;

export interface RowOptions {
  /** From version 1.5.5 on the first place of a row is not used. */
  readonly sparesFirst: boolean;
}

export class RowFinder implements MatchFinder {
  readonly margin = 16;
  offset = 0;
  isSkipping = false;
  readonly #hasher: Hasher;
  readonly #rowLog: number;
  readonly #attempts: number;
  readonly #wraps: number;
  readonly #places: Int32Array;
  /** Tags of a row's places, as bytes and four at once. */
  readonly #tags: Uint8Array;
  readonly #words: Int32Array;
  /** Where in each row the last place was put. */
  readonly #heads: Uint8Array;
  readonly #found = new Int32Array(64);
  readonly #budget = new SearchBudget();
  #bytes: Uint8Array = new Uint8Array(0);
  #content = viewOf(this.#bytes);
  #end = 0;
  #next = FIRST_INDEX;

  constructor({ searchLog, hashLog, minMatch }: Parameters, { sparesFirst }: RowOptions) {
    this.#rowLog = Math.max(4, Math.min(searchLog, 6));
    this.#attempts = 1 << Math.min(searchLog, this.#rowLog);
    this.#wraps = sparesFirst ? (1 << this.#rowLog) - 1 : 0;
    this.#hasher = new Hasher(Math.max(4, Math.min(minMatch, 6)), hashLog - this.#rowLog + TAG_BITS);
    this.#places = new Int32Array(1 << hashLog);
    this.#tags = new Uint8Array(1 << hashLog);
    this.#words = new Int32Array(this.#tags.buffer);
    this.#heads = new Uint8Array(1 << (hashLog - this.#rowLog));
  }

  load(bytes: Uint8Array, end: number): void {
    this.#bytes = bytes;
    this.#content = viewOf(bytes);
    this.#places.fill(0);
    this.#tags.fill(0);
    this.#heads.fill(0);
    this.#next = FIRST_INDEX;
    if (end - FIRST_INDEX > UNENTERED) {
      this.#enter(FIRST_INDEX, end - UNENTERED);
      this.#next = end;
    }
  }

  startBlock(bytes: Uint8Array, start: number, end: number): void {
    this.#bytes = bytes;
    this.#content = viewOf(bytes);
    this.#end = end;
    this.#budget.refill(end - start);
    this.#next = enteredFrom(this.#next, start);
  }

  find(at: number, lowest: number): number {
    if (this.isSkipping) this.#next = Math.max(this.#next, at);
    else if (at > this.#next) this.#enterUpTo(at);
    const hash = this.#hasher.of(this.#content, at);
    const row = hash >>> TAG_BITS;
    const count = this.#candidates(row, hash & TAG_MASK, lowest);
    if (at === this.#next) {
      this.#put(row, hash & TAG_MASK, at);
      this.#next = at + 1;
    }
    return count > 0 && this.#budget.left > 0 ? this.#longest(at, count) : 0;
  }

  move(by: number): void {
    moveIndexes(this.#places, by);
    this.#next = Math.max(FIRST_INDEX, this.#next - by);
  }

  #enterUpTo(at: number): void {
    let from = this.#next;
    if (at - from > LONG_GAP) {
      this.#enter(from, from + ENTERED_AT_START);
      from = at - ENTERED_AT_END;
    }
    this.#enter(from, at);
    this.#next = at;
  }

  #enter(from: number, to: number): void {
    const content = this.#content;
    const hasher = this.#hasher;
    for (let at = from; at < to; at++) {
      const hash = hasher.of(content, at);
      this.#put(hash >>> TAG_BITS, hash & TAG_MASK, at);
    }
  }

  #put(row: number, tag: number, at: number): void {
    const mask = (1 << this.#rowLog) - 1;
    let head = (this.#heads[row]! - 1) & mask;
    if (head === 0) head = this.#wraps;
    this.#heads[row] = head;
    const place = (row << this.#rowLog) + head;
    this.#tags[place] = tag;
    this.#places[place] = at;
  }

  /** Collects the places of a row that have the tag, the last one first, down to `lowest`. @returns how many there are. */
  #candidates(row: number, tag: number, lowest: number): number {
    const rowLog = this.#rowLog;
    const words = this.#words;
    const pattern = Math.imul(tag, 0x01010101);
    const head = this.#heads[row]!;
    const first = row << rowLog;
    let at = first >>> 2;
    if (rowLog === 4) {
      const mask =
        equalBytes(words[at]! ^ pattern) |
        (equalBytes(words[at + 1]! ^ pattern) << 4) |
        (equalBytes(words[at + 2]! ^ pattern) << 8) |
        (equalBytes(words[at + 3]! ^ pattern) << 12);
      if (mask === 0) return 0;
      const rotated = ((mask >>> head) | (mask << (16 - head))) & 0xffff;
      return this.#collect(first, head, rotated, 0, lowest);
    }
    const low = this.#half(at, pattern);
    if (rowLog === 5) {
      const rotated = head === 0 ? low : (low >>> head) | (low << (32 - head));
      return this.#collect(first, head, rotated, 0, lowest);
    }
    at += 8;
    const high = this.#half(at, pattern);
    const turn = head & 31;
    const [a, b] = head < 32 ? [low, high] : [high, low];
    if (turn === 0) return this.#collect(first, head, a, b, lowest);
    const back = 32 - turn;
    return this.#collect(first, head, (a >>> turn) | (b << back), (b >>> turn) | (a << back), lowest);
  }

  /** Which of 32 tags are the pattern's. */
  #half(from: number, pattern: number): number {
    let mask = 0;
    for (let word = 7; word >= 0; word--) mask = (mask << 4) | equalBytes(this.#words[from + word]! ^ pattern);
    return mask;
  }

  #collect(first: number, head: number, low: number, high: number, lowest: number): number {
    const rowMask = (1 << this.#rowLog) - 1;
    const places = this.#places;
    const found = this.#found;
    let count = 0;
    for (let half = 0; half < 2; half++) {
      for (let mask = half === 0 ? low : high; mask !== 0; mask &= mask - 1) {
        if (count === this.#attempts) return count;
        const bit = 31 - Math.clz32(mask & -mask);
        const place = (head + 32 * half + bit) & rowMask;
        if (place === 0 && this.#wraps !== 0) continue;
        const index = places[first + place]!;
        if (index < lowest) return count;
        found[count++] = index;
      }
    }
    return count;
  }

  #longest(at: number, count: number): number {
    const content = this.#content;
    const end = this.#end;
    const found = this.#found;
    let longest = SHORTEST - 1;
    // The last four bytes that a longer match would have.
    let wanted = content.getInt32(at, true);
    for (let candidate = 0; candidate < count; candidate++) {
      const index = found[candidate]!;
      if (content.getInt32(index + longest - 3, true) !== wanted) continue;
      const length = commonLength(content, at, index, end);
      this.#budget.left -= length;
      if (length <= longest) continue;
      longest = length;
      this.offset = at - index;
      if (at + length === end) break;
      wanted = content.getInt32(at + longest - 3, true);
    }
    return longest;
  }
}

/** One bit for each byte that is zero, the lowest first. */
function equalBytes(word: number): number {
  const zeros = ~(((word & 0x7f7f7f7f) + 0x7f7f7f7f) | word | 0x7f7f7f7f);
  return Math.imul(zeros >>> 7, 0x10204080) >>> 28;
}
