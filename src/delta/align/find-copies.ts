/** Finds what of a new file can be copied from an old one, with scattered differences (as bsdiff does, Percival 2003). */
import { suffixArray } from './suffix-array.ts';

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

export function findCopies(old: Uint8Array, next: Uint8Array, _options: CopyOptions): Copies {
  const sorted = suffixArray(old);
  const newAt: number[] = [];
  const oldAt: number[] = [];
  const lengths: number[] = [];
  let covered = 0;
  let diagonal = 0;
  let at = 0;
  while (at < next.length) {
    const [from, length] = longestMatch(old, sorted, next, at);
    let same = 0;
    for (let offset = at; offset < at + length; offset++) if (old[offset + diagonal] === next[offset]) same++;
    if (length < 12 || same > length - 8) {
      at += Math.max(1, same === length ? length : 1);
      continue;
    }
    let start = at;
    const distance = from - at;
    if (newAt.length > 0) {
      const last = newAt.length - 1;
      const end = newAt[last]! + lengths[last]!;
      let score = 0;
      let best = 0;
      start = at;
      for (let offset = at - 1; offset >= end && offset + distance >= 0 && score > best - 16; offset--) {
        if (old[offset + distance] === next[offset]) score++;
        else score -= 2;
        if (score > best) {
          best = score;
          start = offset;
        }
      }
    } else {
      while (start > covered && start + distance > 0 && old[start + distance - 1] === next[start - 1]) start--;
    }
    let end = at + length;
    let score = 0;
    let best = 0;
    for (let offset = end; offset < next.length && offset + distance < old.length && score > best - 24; offset++) {
      if (old[offset + distance] === next[offset]) score++;
      else score -= 1;
      if (score > best) {
        best = score;
        end = offset + 1;
      }
    }
    newAt.push(start);
    oldAt.push(start + distance);
    lengths.push(end - start);
    covered = end;
    diagonal = distance;
    at = end;
  }
  return {
    count: newAt.length,
    newAt: Uint32Array.from(newAt),
    oldAt: Uint32Array.from(oldAt),
    lengths: Uint32Array.from(lengths),
  };
}

function longestMatch(old: Uint8Array, sorted: Int32Array, next: Uint8Array, at: number): [number, number] {
  let low = 0;
  let high = sorted.length - 1;
  let best = 0;
  let from = 0;
  while (low <= high) {
    const middle = (low + high) >>> 1;
    const base = sorted[middle]!;
    let length = 0;
    const most = Math.min(old.length - base, next.length - at);
    while (length < most && old[base + length] === next[at + length]) length++;
    if (length > best) {
      best = length;
      from = base;
    }
    if (length === next.length - at) break;
    if (length === old.length - base || old[base + length]! < next[at + length]!) low = middle + 1;
    else high = middle - 1;
  }
  return [from, best];
}
