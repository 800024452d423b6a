/**
 * Where the bytes of an old section are in the new one, roughly and fast: the encoder looks there how references really moved. Unlike
 * in a coarse map functions may change their order.
 */

/** No place in the new file. */
export const UNMATCHED = -(2 ** 31);

/** Old bytes are mapped in cells of this many. */
export const CELL_BYTES = 8;

const WINDOW = 24;
/** Bytes ahead that are compared to go on, and how many of them must be equal. */
const AHEAD = 32;
const ENOUGH = 24;
/** Bytes ahead that are compared with another place, and how many more of them must be equal there. */
const FAR_AHEAD = 128;
const BETTER = 6;

const MAX_TABLE_BITS = 22;

function hashWindow(view: DataView, at: number): number {
  let hash = 0;
  for (let word = 0; word < WINDOW; word += 4) {
    hash = Math.imul(hash ^ view.getInt32(at + word, true), 0x9e3779b1);
    hash ^= hash >>> 15;
  }
  return hash >>> 0;
}

/** How many of the bytes that follow are equal. */
function equalAhead(old: Uint8Array, oldAt: number, next: Uint8Array, newAt: number, ahead: number): number {
  if (oldAt < 0) return 0;
  const count = Math.min(ahead, old.length - oldAt, next.length - newAt);
  let equal = 0;
  for (let byte = 0; byte < count; byte++) if (old[oldAt + byte] === next[newAt + byte]) equal++;
  return equal;
}

/** Whether an old place fits a new one better than another does. */
function isBetter(old: Uint8Array, place: number, other: number, next: Uint8Array, newAt: number): boolean {
  if (equalAhead(old, place, next, newAt, AHEAD) < ENOUGH) return false;
  const equal = equalAhead(old, other, next, newAt, FAR_AHEAD);
  return equalAhead(old, place, next, newAt, FAR_AHEAD) >= equal + BETTER;
}

/**
 * Matches an old section, its references rewritten as far as is known, with the new one.
 * @returns for each cell of the old section how much farther from the section's start it is in the new one, or UNMATCHED.
 */
export function matchPlaces(old: Uint8Array, next: Uint8Array): Int32Array {
  const shifts = new Int32Array(Math.ceil(old.length / CELL_BYTES)).fill(UNMATCHED);
  const bits = Math.min(MAX_TABLE_BITS, 32 - Math.clz32(old.length));
  const mask = (1 << bits) - 1;
  const table = new Int32Array(1 << bits).fill(-1);
  const oldView = new DataView(old.buffer, old.byteOffset, old.length);
  const newView = new DataView(next.buffer, next.byteOffset, next.length);
  const step = old.length >>> bits > 0 ? 4 : 2;
  for (let at = 0; at + WINDOW <= old.length; at += step) table[hashWindow(oldView, at) & mask] = at;
  let shift = 0;
  let at = 0;
  while (at + WINDOW <= next.length) {
    // `shift` leads from a new place to the old one.
    const equal = equalAhead(old, at + shift, next, at, AHEAD);
    if (equal < AHEAD) {
      const found = table[hashWindow(newView, at) & mask]!;
      if (found >= 0 && found !== at + shift && isBetter(old, found, at + shift, next, at)) shift = found - at;
      else if (equal < ENOUGH) {
        at++;
        continue;
      }
    }
    shifts[(at + shift) >>> 3] = -shift;
    at += CELL_BYTES;
  }
  return shifts;
}
