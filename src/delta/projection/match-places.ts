/**
 * Where the bytes of an old section are in the new one, roughly and fast: the encoder looks there how references really moved. Unlike
 * in a coarse map functions may change their order.
 */

/** No place in the new file. */
export const UNMATCHED = -(2 ** 31);

/** Old bytes are mapped in cells of this many. */
export const CELL_BYTES = 8;

const WINDOW = 24;
/** Bytes ahead that are compared, and how many of them must be equal to go on, to find again what was lost, and to be better. */
const AHEAD = 32;
const ENOUGH = 24;
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
function equalAhead(old: Uint8Array, oldAt: number, next: Uint8Array, newAt: number): number {
  if (oldAt < 0) return 0;
  const count = Math.min(AHEAD, old.length - oldAt, next.length - newAt);
  let equal = 0;
  for (let byte = 0; byte < count; byte++) if (old[oldAt + byte] === next[newAt + byte]) equal++;
  return equal;
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
    const equal = equalAhead(old, at + shift, next, at);
    if (equal < ENOUGH) {
      const found = table[hashWindow(newView, at) & mask]!;
      if (found >= 0 && found !== at + shift && equalAhead(old, found, next, at) >= Math.max(ENOUGH, equal + BETTER)) {
        shift = found - at;
      } else {
        at++;
        continue;
      }
    }
    shifts[(at + shift) >>> 3] = -shift;
    at += CELL_BYTES;
  }
  return shifts;
}
