/** Finds what of a new file can be copied from an old one, with scattered differences. */
import { type Blocks, findBlocks } from './blocks.ts';
import { Candidates } from './candidates.ts';
import { chooseCopies } from './choose-copies.ts';
import { LiteralCosts } from './literal-costs.ts';
import { SuffixSearch } from './suffix-search.ts';

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
}

/** Lower efforts do without the suffix array. */
const LEAST_SEARCH_EFFORT = 3;

/** Shorter matches than this are not worth a copy of their own. */
const LEAST_MATCH = 8;
/** How far a match may go on over differences before it must be found again: in tables everything is like everything. */
const MATCH_REACH = 512;

/** Equal bytes of a block in which nothing else is looked for. */
const SURE_RUN = 32;

/** The cheapest copies that can be found. */
export function findCopies(old: Uint8Array, next: Uint8Array, { effort }: CopyOptions): Copies {
  const finder = new CandidateFinder(old, next);
  if (effort >= LEAST_SEARCH_EFFORT && old.length >= LEAST_MATCH) finder.searchBetweenBlocks();
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

  /** Adds the blocks that begin at or before an offset: candidates come in the order of the new file. */
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

  /** Adds what the suffix array finds wherever the blocks have no long equal run. */
  searchBetweenBlocks(): void {
    const old = this.#old;
    const next = this.#next;
    let search: SuffixSearch | undefined;
    let runEnd = 0;
    for (let at = 0; at + LEAST_MATCH <= next.length; ) {
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
      search ??= new SuffixSearch(old);
      search.find(next, at, at + distance);
      const { length } = search;
      let step = 1;
      if (length >= LEAST_MATCH) {
        this.candidates.add(at, at + length, search.oldAt - at, MATCH_REACH);
        step = Math.max(1, length - LEAST_MATCH + 2);
      }
      for (const end = at + step; at < end; at++) this.literals.expect(at);
    }
  }
}
