/**
 * Matches by chains of places with the same hash, as zstd's encoder finds them for small windows and, before version 1.5, at levels 5 to 12 (the
 * source is the reference).
 */
import { commonLength, Hasher, viewOf } from './hash.ts';
import { enteredFrom, FIRST_INDEX, type MatchFinder, moveIndexes, SHORTEST } from './match-finder.ts';
import type { Parameters } from './parameters.ts';
import { SearchBudget } from './search-budget.ts';

/** Bytes at the end of what is known before a section that are not entered. */
const UNENTERED = 8;

export class ChainFinder implements MatchFinder {
  readonly margin = 8;
  offset = 0;
  isSkipping = false;
  readonly #hasher: Hasher;
  readonly #attempts: number;
  readonly #last: Int32Array;
  readonly #chain: Int32Array;
  readonly #budget = new SearchBudget();
  #bytes: Uint8Array = new Uint8Array(0);
  #content = viewOf(this.#bytes);
  #end = 0;
  #next = FIRST_INDEX;

  constructor({ searchLog, hashLog, chainLog, minMatch }: Parameters) {
    this.#attempts = 1 << searchLog;
    this.#hasher = new Hasher(Math.max(4, Math.min(minMatch, 6)), hashLog);
    this.#last = new Int32Array(1 << hashLog);
    this.#chain = new Int32Array(1 << chainLog);
  }

  load(bytes: Uint8Array, end: number): void {
    this.#bytes = bytes;
    this.#content = viewOf(bytes);
    this.#last.fill(0);
    this.#chain.fill(0);
    this.#next = FIRST_INDEX;
    if (end - FIRST_INDEX > UNENTERED) {
      this.#enterUpTo(end - UNENTERED);
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
    const content = this.#content;
    const end = this.#end;
    const chain = this.#chain;
    const mask = chain.length - 1;
    // Where only places that are looked at are entered, the one before is.
    if (this.isSkipping && this.#next < at) this.#enterUpTo(this.#next + 1);
    else this.#enterUpTo(at);
    this.#next = Math.max(this.#next, at);
    const least = Math.max(0, at - chain.length);
    if (this.#budget.left <= 0) return 0;
    let longest = SHORTEST - 1;
    let work = 0;
    let index = this.#last[this.#hasher.of(this.#content, at)]!;
    for (let left = this.#attempts; left > 0 && index >= lowest && index < at; left--) {
      work++;
      if (content.getInt32(index + longest - 3, true) === content.getInt32(at + longest - 3, true)) {
        const length = commonLength(content, at, index, end);
        work += length;
        if (length > longest) {
          longest = length;
          this.offset = at - index;
          if (at + length === end) break;
        }
      }
      if (index <= least) break;
      index = chain[index & mask]!;
    }
    this.#budget.left -= work;
    return longest;
  }

  move(by: number): void {
    moveIndexes(this.#last, by);
    moveIndexes(this.#chain, by);
    this.#next = Math.max(FIRST_INDEX, this.#next - by);
  }

  #enterUpTo(to: number): void {
    const content = this.#content;
    const hasher = this.#hasher;
    const mask = this.#chain.length - 1;
    let at = this.#next;
    for (; at < to; at++) {
      const hash = hasher.of(content, at);
      this.#chain[at & mask] = this.#last[hash]!;
      this.#last[hash] = at;
    }
    this.#next = at;
  }
}
