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

/** Shorter matches than this are not worth a copy of their own. */
const LEAST_MATCH = 10;
/** Equal bytes of a block in which nothing else is looked for. */
const SURE_RUN = 32;

export function findCopies(old: Uint8Array, next: Uint8Array, { effort }: CopyOptions): Copies {
  const candidates = new Candidates(old, next);
  const blocks = findBlocks(old, next);
  const { count, newAt, oldAt, lengths } = blocks;
  for (let index = 0; index < count; index++) {
    const start = newAt[index]!;
    candidates.add(start, start + lengths[index]!, oldAt[index]! - start);
  }
  const literals = new LiteralCosts(next);
  if (effort >= 2 && old.length >= LEAST_MATCH) searchBetween(old, next, blocks, candidates, literals);
  return chooseCopies(old, next, candidates, literals.costs);
}

/** Adds what the suffix array finds wherever the blocks have no long equal run. */
function searchBetween(
  old: Uint8Array,
  next: Uint8Array,
  blocks: Blocks,
  candidates: Candidates,
  literals: LiteralCosts,
): void {
  let search: SuffixSearch | undefined;
  let block = 0;
  let distance = 0;
  let runEnd = 0;
  for (let at = 0; at + LEAST_MATCH <= next.length; ) {
    while (block < blocks.count && blocks.newAt[block]! <= at) {
      distance = blocks.oldAt[block]! - blocks.newAt[block]!;
      block++;
      runEnd = 0;
    }
    if (runEnd <= at) {
      runEnd = at;
      while (runEnd < next.length && old[runEnd + distance] === next[runEnd]) runEnd++;
    }
    if (runEnd - at >= SURE_RUN) {
      at = runEnd;
      continue;
    }
    search ??= new SuffixSearch(old);
    search.find(next, at, at + distance);
    const { length } = search;
    let step = 1;
    if (length >= LEAST_MATCH) {
      candidates.add(at, at + length, search.oldAt - at);
      step = Math.max(1, length - LEAST_MATCH + 2);
    }
    for (const end = at + step; at < end; at++) literals.expect(at);
  }
}
