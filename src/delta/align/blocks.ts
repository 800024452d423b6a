/** Long equal blocks of two files, in linear time: windows of the old file are in a hash table, and the new one rolls over it. */

/** Blocks by number, in the order of the new file, where they do not overlap. Offsets and lengths in bytes. */
export interface Blocks {
  readonly count: number;
  readonly oldAt: Uint32Array;
  readonly newAt: Uint32Array;
  readonly lengths: Uint32Array;
  /** How many bytes of each are equal. */
  readonly weights: Uint32Array;
}

/** Bytes of a window, and the distance of those in the table: every 31 equal bytes hold a whole one. */
const WINDOW = 16;
/** Windows in the table; in larger files they are farther apart. */
const MOST_WINDOWS = 4 << 20;
const LEAST_BLOCK = 32;
/** Windows of the same hash that are tried; where there are more it is seldom anything but filler. */
const MOST_TRIES = 8;
/** Equal bytes that are enough to look no further. */
const GOOD_LENGTH = 1024;
/** A block goes on over differences while its score, equal bytes less this many a difference, stays within the fall below its best. */
const DIFFERENCE_COST = 3;
const DEEPEST_FALL = 36;

const FACTOR = 0x2c1b3c6d;
const SPREAD = 0x9e3779b1 | 0;

let power = 1;
for (let count = 0; count < WINDOW; count++) power = Math.imul(power, FACTOR);
/** What the byte that leaves a window was multiplied with. */
const LEAVING_FACTOR = power;

function hashWindow(bytes: Uint8Array, at: number): number {
  let hash = 0;
  for (let offset = at; offset < at + WINDOW; offset++) hash = (Math.imul(hash, FACTOR) + bytes[offset]!) | 0;
  return hash;
}

/** The same byte over and over says nothing of where a block came from. */
function isFiller(bytes: Uint8Array, at: number): boolean {
  const first = bytes[at]!;
  for (let offset = at + 1; offset < at + WINDOW; offset++) if (bytes[offset] !== first) return false;
  return true;
}

/** The aligned windows of a file by hash: `heads` has the number of the last one plus 1, `chains` that of the one before it. */
class WindowTable {
  /** Distance of the windows. */
  readonly spacing: number;
  readonly heads: Int32Array;
  readonly chains: Int32Array;
  readonly shift: number;

  constructor(bytes: Uint8Array, most: number) {
    this.spacing = WINDOW * Math.max(1, Math.ceil(bytes.length / WINDOW / most));
    const windows = Math.floor(bytes.length / this.spacing);
    this.shift = Math.clz32(windows | 15);
    this.heads = new Int32Array(2 ** (32 - this.shift));
    this.chains = new Int32Array(windows + 1);
    for (let number = 1; number <= windows; number++) {
      const at = (number - 1) * this.spacing;
      if (isFiller(bytes, at)) continue;
      const slot = Math.imul(hashWindow(bytes, at), SPREAD) >>> this.shift;
      this.chains[number] = this.heads[slot]!;
      this.heads[slot] = number;
    }
  }
}

/**
 * Finds nearly all blocks of 32 bytes and more that are equal but for scattered differences; in large files those that are some times as long
 * as the windows are apart. @param most windows in the table.
 */
export function findBlocks(old: Uint8Array, next: Uint8Array, most: number = MOST_WINDOWS): Blocks {
  const { heads, chains, shift, spacing } = new WindowTable(old, most);
  const oldAt: number[] = [];
  const newAt: number[] = [];
  const lengths: number[] = [];
  const weights: number[] = [];
  let covered = 0;
  let diagonal = 0;
  let at = 0;
  let hash = next.length < WINDOW ? 0 : hashWindow(next, 0);
  while (at + WINDOW <= next.length) {
    let bestBase = -1;
    let bestLength = LEAST_BLOCK - 1;
    let number = heads[Math.imul(hash, SPREAD) >>> shift]!;
    for (let tries = 0; number > 0 && tries < MOST_TRIES; tries++) {
      const base = (number - 1) * spacing;
      number = chains[number]!;
      const length = equalAround(old, next, base, at, covered);
      if (length > bestLength || (length === bestLength && base - at === diagonal)) {
        bestBase = base;
        bestLength = length;
        if (length >= GOOD_LENGTH) break;
      }
    }
    if (bestBase < 0) {
      if (at + WINDOW < next.length) {
        hash = (Math.imul(hash, FACTOR) + next[at + WINDOW]! - Math.imul(next[at]!, LEAVING_FACTOR)) | 0;
      }
      at++;
      continue;
    }
    diagonal = bestBase - at;
    const start = extendBack(old, next, diagonal, at, covered);
    const end = extendAhead(old, next, diagonal, at);
    let weight = 0;
    for (let offset = start; offset < end; offset++) if (old[offset + diagonal] === next[offset]) weight++;
    oldAt.push(start + diagonal);
    newAt.push(start);
    lengths.push(end - start);
    weights.push(weight);
    covered = end;
    at = end;
    if (at + WINDOW <= next.length) hash = hashWindow(next, at);
  }
  return {
    count: oldAt.length,
    oldAt: Uint32Array.from(oldAt),
    newAt: Uint32Array.from(newAt),
    lengths: Uint32Array.from(lengths),
    weights: Uint32Array.from(weights),
  };
}

/** Equal bytes around two offsets, not before `from` in the new file; 0 where the windows there differ. */
function equalAround(old: Uint8Array, next: Uint8Array, base: number, at: number, from: number): number {
  let end = at;
  const distance = base - at;
  const last = Math.min(next.length, old.length - distance);
  while (end < last && old[end + distance] === next[end]) end++;
  if (end - at < WINDOW) return 0;
  let start = at;
  const first = Math.max(from, -distance);
  while (start > first && old[start - 1 + distance] === next[start - 1]) start--;
  return end - start;
}

/** Where a block that holds `at` ends: goes on as long as the score does not fall too deep, and gives where it was best. */
function extendAhead(old: Uint8Array, next: Uint8Array, diagonal: number, at: number): number {
  const last = Math.min(next.length, old.length - diagonal);
  let score = 0;
  let best = 0;
  let end = at;
  for (let offset = at; offset < last && score >= best - DEEPEST_FALL; offset++) {
    if (old[offset + diagonal] !== next[offset]) score -= DIFFERENCE_COST;
    else if (++score > best) {
      best = score;
      end = offset + 1;
    }
  }
  return end;
}

/** The same towards the front, not before `from`. */
function extendBack(old: Uint8Array, next: Uint8Array, diagonal: number, at: number, from: number): number {
  const first = Math.max(from, -diagonal);
  let score = 0;
  let best = 0;
  let start = at;
  for (let offset = at - 1; offset >= first && score >= best - DEEPEST_FALL; offset--) {
    if (old[offset + diagonal] !== next[offset]) score -= DIFFERENCE_COST;
    else if (++score > best) {
      best = score;
      start = offset;
    }
  }
  return start;
}
