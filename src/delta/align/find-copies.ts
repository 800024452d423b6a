/** Finds what of a new file can be copied from an old one, with scattered differences. */
import { OsupdError } from '../../core/errors.ts';
import { MAX_ALIGNED_BYTES, MAX_SUFFIX_ARRAY_BYTES } from '../../core/limits.ts';
import { type Blocks, findBlocks } from './blocks.ts';
import { Candidates } from './candidates.ts';
import { chooseCopies } from './choose-copies.ts';
import { LiteralCosts } from './literal-costs.ts';
import { SuffixSearch } from './suffix-search.ts';
import { WORD_BYTES } from './word-filter.ts';

/** Copies by number, in the order of the new file, where they do not overlap; what lies between them is literal. Offsets in bytes. */
export interface Copies {
  readonly count: number;
  readonly newAt: Uint32Array;
  readonly oldAt: Uint32Array;
  readonly lengths: Uint32Array;
}

export interface CopyOptions {
  /** 1 (fastest) to 9 (smallest). */
  readonly effort: number;
  /** Old bytes that a suffix array covers at most; fewer than MAX_SUFFIX_ARRAY_BYTES for tests. */
  readonly searchBytes?: number;
}

/** Lower efforts do without the suffix array. */
const LEAST_SEARCH_EFFORT = 3;

/** How far a match may go on over differences before it must be found again: in tables everything is like everything. */
const MATCH_REACH = 512;

/** Equal bytes where a block goes on, in which nothing else is looked for. */
const SURE_RUN = 32;

/**
 * The cheapest copies that can be found. Takes about a tenth of a microsecond for each byte of both files, on hard ones half of one, and six
 * bytes of memory for each old byte (of MAX_SUFFIX_ARRAY_BYTES at most) besides one for each new byte.
 * @throws OsupdError `limit-exceeded` where a file is larger than MAX_ALIGNED_BYTES.
 */
export function findCopies(old: Uint8Array, next: Uint8Array, options: CopyOptions): Copies {
  for (const { length } of [old, next]) {
    if (length > MAX_ALIGNED_BYTES) {
      throw new OsupdError('limit-exceeded', `${length} bytes to find copies in; ${MAX_ALIGNED_BYTES} are the most`);
    }
  }
  const finder = new CandidateFinder(old, next);
  if (options.effort >= LEAST_SEARCH_EFFORT && !finder.literals.isNoise) {
    finder.searchBetweenBlocks(Math.max(2, options.searchBytes ?? MAX_SUFFIX_ARRAY_BYTES));
  }
  finder.addBlocks(next.length);
  return chooseCopies(old, next, finder.candidates, finder.literals.costs);
}

class CandidateFinder {
  readonly candidates: Candidates;
  readonly literals: LiteralCosts;
  readonly #old: Uint8Array;
  readonly #next: Uint8Array;
  readonly #blocks: Blocks;
  /** Blocks that are candidates. */
  #added = 0;
  /** Of the last of them: old offset less new offset. */
  #distance = 0;

  constructor(old: Uint8Array, next: Uint8Array) {
    this.#old = old;
    this.#next = next;
    this.candidates = new Candidates(old, next);
    this.literals = new LiteralCosts(next);
    this.#blocks = findBlocks(old, next);
  }

  /** Adds the blocks that begin at or before an offset: candidates come in the order of the new file. True where there are any. */
  addBlocks(to: number): boolean {
    const { count, newAt, oldAt, lengths } = this.#blocks;
    const before = this.#added;
    for (; this.#added < count && newAt[this.#added]! <= to; this.#added++) {
      const start = newAt[this.#added]!;
      this.#distance = oldAt[this.#added]! - start;
      this.candidates.add(start, start + lengths[this.#added]!, this.#distance, Number.POSITIVE_INFINITY);
    }
    return this.#added > before;
  }

  /** Adds what suffix arrays find wherever the blocks have no long equal run. @param searchBytes of the old file at a time. */
  searchBetweenBlocks(searchBytes: number): void {
    const old = this.#old;
    const next = this.#next;
    if (old.length < WORD_BYTES) return;
    // The new file in pieces, each searched for in a part of the old one.
    const piece = old.length <= searchBytes ? next.length : Math.ceil(searchBytes / 2);
    let search: SuffixSearch | undefined;
    let pieceEnd = 0;
    let runEnd = 0;
    for (let at = 0; at + WORD_BYTES <= next.length; ) {
      if (this.addBlocks(at)) runEnd = at;
      const distance = this.#distance;
      if (runEnd <= at) {
        runEnd = at;
        while (runEnd < next.length && old[runEnd + distance] === next[runEnd]) runEnd++;
      }
      if (runEnd - at >= SURE_RUN) {
        this.candidates.add(at, runEnd, distance, Number.POSITIVE_INFINITY);
        at = runEnd;
        continue;
      }
      if (search === undefined || at >= pieceEnd) {
        pieceEnd = Math.min(next.length, at + piece);
        const from = this.#whereIs(at, pieceEnd, searchBytes);
        search = new SuffixSearch(old, from, Math.min(old.length, from + searchBytes));
      }
      at += this.#search(search, at);
    }
  }

  /** Adds what is found of the bytes at an offset. Gives how many bytes need not be searched for anew. */
  #search(search: SuffixSearch, at: number): number {
    const { candidates } = this;
    search.find(this.#next, at, at + this.#distance);
    const { length, oldAt, nearAt } = search;
    let step = 1;
    if (length >= WORD_BYTES) {
      candidates.add(at, at + length, oldAt - at, MATCH_REACH);
      if (nearAt !== oldAt) candidates.add(at, at + 1, nearAt - at, MATCH_REACH);
      step = Math.max(1, length - WORD_BYTES + 2);
    }
    for (let offset = at; offset < at + step; offset++) this.literals.expect(offset);
    return step;
  }

  /** Where the part of the old file begins that most of a piece of the new one comes from, as the blocks say. */
  #whereIs(start: number, end: number, searchBytes: number): number {
    const last = this.#old.length - searchBytes;
    if (last <= 0) return 0;
    const { count, newAt, oldAt, lengths } = this.#blocks;
    let weight = 0;
    let sum = 0;
    for (let block = Math.max(0, this.#added - 1); block < count && newAt[block]! < end; block++) {
      const from = Math.max(start, newAt[block]!);
      const length = Math.min(end, newAt[block]! + lengths[block]!) - from;
      if (length <= 0) continue;
      weight += length;
      sum += length * (oldAt[block]! - newAt[block]!);
    }
    const distance = weight === 0 ? this.#distance : Math.round(sum / weight);
    const middle = (start + end) / 2 + distance;
    return Math.max(0, Math.min(last, Math.round(middle - searchBytes / 2)));
  }
}
