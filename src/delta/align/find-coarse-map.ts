/** Finds the coarse map of two files: the heaviest chain of equal blocks that rises in both, with a price on every change of shift. */
import { type Blocks, findBlocks } from './blocks.ts';
import { type CoarseMap, coarseMapOf } from './coarse-map.ts';

/** Equal bytes that a new shift must win: what it costs in the map, against what misled references into so many bytes would. */
const SHIFT_COST = 32;

/** The map of `old` to `next`. Linear time but for sorting blocks; no two ranges in a row have the same shift. */
export function findCoarseMap(old: Uint8Array, next: Uint8Array): CoarseMap {
  const blocks = findBlocks(old, next);
  const oldAt: number[] = [];
  const newAt: number[] = [];
  let shift = 0;
  for (const index of heaviestChain(blocks)) {
    const { oldAt: from, newAt: to } = blocks;
    if (to[index]! - from[index]! === shift) continue;
    shift = to[index]! - from[index]!;
    oldAt.push(from[index]!);
    newAt.push(to[index]!);
  }
  return coarseMapOf(Uint32Array.from(oldAt), Uint32Array.from(newAt), old.length, next.length);
}

/** The numbers of the blocks of the chain, in order. A block may follow one that ends before it in the old file. */
function heaviestChain({ count, oldAt, newAt, lengths, weights }: Blocks): number[] {
  const starts = Uint32Array.from(oldAt).sort();
  const best = new ChainMaxima(count, new Float64Array(count));
  const { scores } = best;
  const before = new Int32Array(count).fill(-1);
  const lastOfShift = new Map<number, number>();
  let heaviest = -1;
  let most = 0;
  for (let index = 0; index < count; index++) {
    const shift = newAt[index]! - oldAt[index]!;
    let score = shift === 0 ? 0 : -SHIFT_COST;
    const other = best.before(rankOf(starts, oldAt[index]! + 1));
    if (other >= 0 && scores[other]! - SHIFT_COST > score) {
      score = scores[other]! - SHIFT_COST;
      before[index] = other;
    }
    const same = lastOfShift.get(shift);
    if (same !== undefined && scores[same]! >= score) {
      score = scores[same]!;
      before[index] = same;
    }
    scores[index] = score + weights[index]!;
    lastOfShift.set(shift, index);
    best.add(index, rankOf(starts, oldAt[index]! + lengths[index]!));
    if (scores[index]! > most) {
      most = scores[index]!;
      heaviest = index;
    }
  }
  const chain: number[] = [];
  for (let index = heaviest; index >= 0; index = before[index]!) chain.push(index);
  return chain.reverse();
}

/** How many of the sorted numbers are below `value`. */
function rankOf(sorted: Uint32Array, value: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The chain of the best score among those that end at or before a rank (a Fenwick tree of maxima). */
class ChainMaxima {
  readonly scores: Float64Array;
  readonly #tree: Int32Array;

  constructor(size: number, scores: Float64Array) {
    this.scores = scores;
    this.#tree = new Int32Array(size + 2).fill(-1);
  }

  /** Of those added at ranks below `rank`; -1 for none. */
  before(rank: number): number {
    let best = -1;
    for (let slot = rank; slot > 0; slot -= slot & -slot) {
      const index = this.#tree[slot]!;
      if (index >= 0 && (best < 0 || this.scores[index]! > this.scores[best]!)) best = index;
    }
    return best;
  }

  add(index: number, rank: number): void {
    for (let slot = rank + 1; slot < this.#tree.length; slot += slot & -slot) {
      const other = this.#tree[slot]!;
      if (other < 0 || this.scores[index]! > this.scores[other]!) this.#tree[slot] = index;
    }
  }
}
