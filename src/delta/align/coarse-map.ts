/**
 * Where the ranges of an old file are in a new one, roughly: a chain of matching ranges that grows in both files. It says where
 * code and data moved to, so that references to them can be foretold.
 */

/** Matching ranges, by number. Each begins behind the end of the one before, in the old file and in the new one. Offsets in bytes. */
export interface CoarseMap {
  readonly oldAt: Uint32Array;
  readonly newAt: Uint32Array;
  readonly lengths: Uint32Array;
}

/** Moves an offset of the old file to the new one: by the shift of the range that holds it or ends last before it; 0 before the first. */
export function mapOffset({ oldAt, newAt }: CoarseMap, offset: number): number {
  let low = 0;
  let high = oldAt.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (oldAt[middle]! <= offset) low = middle + 1;
    else high = middle;
  }
  return low === 0 ? offset : offset + newAt[low - 1]! - oldAt[low - 1]!;
}
