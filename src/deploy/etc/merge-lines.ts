/** The three-way merge of a text by lines, as diff3(1) does it: changes that touch each other are a conflict. */
import { type LineChange, lineChanges, splitLines } from './line-difference.ts';

/**
 * The text with both changes; undefined where they are of the same lines or of neighbours, and not the same.
 * All three are byte strings.
 */
export function mergeLines(old: string, local: string, next: string): string | undefined {
  const [base, mine, theirs] = [splitLines(old), splitLines(local), splitLines(next)];
  const here = lineChanges(base, mine);
  const there = lineChanges(base, theirs);
  if (here === undefined || there === undefined) return undefined;
  const merged: string[] = [];
  let at = 0;
  for (const { start, end, local: ours, next: others } of regions(here, there)) {
    for (const line of base.slice(at, start)) merged.push(line);
    const one = mine.slice(...range(ours, start, end));
    const other = theirs.slice(...range(others, start, end));
    if (ours.length > 0 && others.length > 0 && one.join('') !== other.join('')) return undefined;
    for (const line of ours.length > 0 ? one : other) merged.push(line);
    at = end;
  }
  for (const line of base.slice(at)) merged.push(line);
  return merged.join('');
}

/** Lines `[start, end)` of the base, which changes of the one side, the other, or both cover. */
interface Region {
  readonly start: number;
  end: number;
  readonly local: LineChange[];
  readonly next: LineChange[];
}

function regions(here: readonly LineChange[], there: readonly LineChange[]): Region[] {
  const found: Region[] = [];
  const all = [
    ...here.map((change) => ({ change, side: 'local' as const })),
    ...there.map((change) => ({ change, side: 'next' as const })),
  ].sort((a, b) => a.change.start - b.change.start);
  for (const { change, side } of all) {
    let region = found.at(-1);
    if (region === undefined || change.start > region.end) {
      region = { start: change.start, end: change.end, local: [], next: [] };
      found.push(region);
    }
    region.end = Math.max(region.end, change.end);
    region[side].push(change);
  }
  return found;
}

/** Where a region of the base is in the text that has these changes in it. */
function range(changes: readonly LineChange[], start: number, end: number): [number, number] {
  const [first, last] = [changes[0], changes.at(-1)];
  if (first === undefined || last === undefined) return [start, start];
  return [first.otherStart - (first.start - start), last.otherEnd + (end - last.end)];
}
