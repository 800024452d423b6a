/**
 * Where bytes come or go, the same bytes often stand on both sides (two functions or names that begin alike), and then the gap of an edit
 * script may as well lie some bytes before or behind. It should begin where something begins, so that references to that are mapped well.
 * The encoder's side of edit scripts.
 */
import type { EditScript } from './edit-script.ts';

/** How far a gap is moved: what begins alike seldom is alike for longer. */
const MAX_SLIDE = 256;

/**
 * @param script in bytes, from `old` to `next`
 * @param begins whether something begins at a place of the old section
 */
export function slideGaps(
  { oldAt, newAt, lengths }: EditScript,
  old: Uint8Array,
  next: Uint8Array,
  begins: (place: number) => boolean,
): EditScript {
  const slid = { oldAt: oldAt.slice(), newAt: newAt.slice(), lengths: lengths.slice() };
  for (let run = 0; run + 1 < oldAt.length; run++) {
    const oldEnd = slid.oldAt[run]! + slid.lengths[run]!;
    const newEnd = slid.newAt[run]! + slid.lengths[run]!;
    const oldStart = oldAt[run + 1]!;
    const newStart = newAt[run + 1]!;
    // Where something goes and something else comes there is no choice.
    if (oldStart > oldEnd === newStart > newEnd || begins(oldEnd)) continue;
    const back = stepsTo(-1, Math.min(MAX_SLIDE, slid.lengths[run]! - 1), (step) => {
      if (old[oldStart + step] !== next[newStart + step]) return undefined;
      return begins(oldEnd + step);
    });
    const ahead = stepsTo(1, Math.min(MAX_SLIDE, lengths[run + 1]! - 1), (step) => {
      if (old[oldEnd + step - 1] !== next[newEnd + step - 1]) return undefined;
      return begins(oldEnd + step);
    });
    const step = back !== 0 && (ahead === 0 || -back <= ahead) ? back : ahead;
    slid.lengths[run]! += step;
    slid.oldAt[run + 1]! += step;
    slid.newAt[run + 1]! += step;
    slid.lengths[run + 1]! -= step;
  }
  return slid;
}

/** Steps in one direction to where the test is true; 0 where it ends (undefined) before. */
function stepsTo(direction: number, most: number, test: (step: number) => boolean | undefined): number {
  for (let count = 1; count <= most; count++) {
    const found = test(direction * count);
    if (found === undefined) return 0;
    if (found) return direction * count;
  }
  return 0;
}
