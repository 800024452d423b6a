/**
 * What of a text was changed, by lines: the shortest edit script, found greedily (E. Myers, "An O(ND) Difference Algorithm and Its
 * Variations", Algorithmica 1, 1986). Takes time and memory by the number of changes: comments and empty lines, which
 * configuration files are full of, cost nothing.
 */
import { MAX_MERGED_EDITS } from '../../core/limits.ts';

/** Lines `[start, end)` of the one text are lines `[otherStart, otherEnd)` of the other. */
export interface LineChange {
  readonly start: number;
  readonly end: number;
  readonly otherStart: number;
  readonly otherEnd: number;
}

/** The lines of a text, each with its newline; only the last may have none. */
export function splitLines(text: string): string[] {
  return text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
}

/**
 * The changes that make `other` of `lines`, in order; between two of them is a line at least.
 * @returns undefined when more than MAX_MERGED_EDITS lines were added or removed.
 */
export function lineChanges(lines: readonly string[], other: readonly string[]): LineChange[] | undefined {
  let start = 0;
  while (start < lines.length && start < other.length && lines[start] === other[start]) start++;
  let end = lines.length;
  let otherEnd = other.length;
  while (end > start && otherEnd > start && lines[end - 1] === other[otherEnd - 1]) {
    end--;
    otherEnd--;
  }
  const kept = keptLines(lines.slice(start, end), other.slice(start, otherEnd));
  if (kept === undefined) return undefined;
  const changes: LineChange[] = [];
  let [a, b] = [start, start];
  for (const [nextA, nextB] of [...kept, [end - start, otherEnd - start] as const]) {
    if (a < start + nextA || b < start + nextB)
      changes.push({ start: a, end: start + nextA, otherStart: b, otherEnd: start + nextB });
    [a, b] = [start + nextA + 1, start + nextB + 1];
  }
  return changes;
}

/** Pairs of lines that stay, in order: Myers' forward search, and the way back through what it has reached at each step. */
function keptLines(a: readonly string[], b: readonly string[]): (readonly [number, number])[] | undefined {
  const most = Math.min(a.length + b.length, MAX_MERGED_EDITS);
  /** For each number of edits, the furthest `x` on each diagonal `x - y` from -edits to +edits. */
  const reached: Int32Array[] = [];
  for (let edits = 0; edits <= most; edits++) {
    const before = reached.at(-1);
    const now = new Int32Array(2 * edits + 1);
    for (let diagonal = -edits; diagonal <= edits; diagonal += 2) {
      let x = before === undefined ? 0 : stepFrom(before, edits, diagonal).x;
      while (x < a.length && x - diagonal < b.length && a[x] === b[x - diagonal]) x++;
      now[diagonal + edits] = x;
      if (x >= a.length && x - diagonal >= b.length) return trace([...reached, now], a.length, b.length);
    }
    reached.push(now);
  }
  return undefined;
}

/** Where one more edit leads on a diagonal, and from which diagonal: a line removed (from the left) or added. */
function stepFrom(before: Int32Array, edits: number, diagonal: number): { x: number; from: number } {
  const at = (other: number) => before[other + edits - 1] ?? -1;
  const isAdded = diagonal === -edits || (diagonal !== edits && at(diagonal - 1) < at(diagonal + 1));
  return isAdded ? { x: at(diagonal + 1), from: diagonal + 1 } : { x: at(diagonal - 1) + 1, from: diagonal - 1 };
}

function trace(reached: readonly Int32Array[], endX: number, endY: number): [number, number][] {
  const pairs: [number, number][] = [];
  let x = endX;
  let diagonal = endX - endY;
  for (let edits = reached.length - 1; edits >= 0; edits--) {
    const before = reached[edits - 1];
    const step = before === undefined ? { x: 0, from: 0 } : stepFrom(before, edits, diagonal);
    for (; x > step.x; x--) pairs.push([x - 1, x - 1 - diagonal]);
    if (before === undefined) break;
    diagonal = step.from;
    x = before[diagonal + edits - 1] ?? 0;
  }
  return pairs.reverse();
}
