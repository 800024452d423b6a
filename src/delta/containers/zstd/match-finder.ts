/** What looks for matches at a place, for the lazy strategies. */

/** The index of the first byte of a section: index zero stands for nothing. */
export const FIRST_INDEX = 2;

/** Matches shorter than this are none. */
export const SHORTEST = 4;

/** A gap since the last place that was entered, beyond which a block enters no more than the last bytes of it. */
const LONG_GAP = 384;
const ENTERED_OF_GAP = 192;

/** Where places are entered from, at the begin of a block: little of a very long match. */
export function enteredFrom(next: number, blockStart: number): number {
  return blockStart > next + LONG_GAP ? blockStart - Math.min(ENTERED_OF_GAP, blockStart - next - LONG_GAP) : next;
}

export interface MatchFinder {
  /** Bytes before the end of a block where it does not look any more. */
  readonly margin: number;
  /** Distance of the match that was found last. */
  offset: number;
  /** Whether only places that are looked at are entered. */
  isSkipping: boolean;
  /** Takes bytes up to `end` as known, at the begin of a section. */
  load(bytes: Uint8Array, end: number): void;
  startBlock(bytes: Uint8Array, start: number, end: number): void;
  /** The length of the longest match at a place, not before `lowest`; below {@link SHORTEST}: none. */
  find(at: number, lowest: number): number;
  /** Everything moves to an index that is less by `by`, a multiple of all table sizes. */
  move(by: number): void;
}

/** Moves indexes in a table; those that fall out stand for nothing. */
export function moveIndexes(table: Int32Array, by: number): void {
  for (let at = 0; at < table.length; at++) table[at] = Math.max(0, table[at]! - by);
}
