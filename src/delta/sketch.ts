/**
 * Sketches: a sample of the short strings that a content holds, by which contents that share parts find each other, wherever those
 * parts lie. Which strings are sampled depends on the strings alone (a rolling hash is small there), so two contents sample the same ones.
 */

/** Length of the sampled strings: what the rolling hash of 32 bits remembers. */
const STRING_BYTES = 32;

/** Up to this size, as a power of two, content is sampled as densely as any is. */
const DENSE_LOG = 13;

/** Mean distance of sampled strings, as a power of two: in such content, and in the largest, where parts of 64 KiB are still found. */
const MIN_SPACING_LOG = 6;
const MAX_SPACING_LOG = 11;

/** Hashes have so many bits: with the number of an object they fit in the 53 of a double. */
export const HASH_BITS = 31;

/** The sampled strings of one content, or of a part of it. */
export interface Sketch {
  /** Their hashes, in ascending order, each once. */
  readonly hashes: Uint32Array<ArrayBuffer>;
  /** For each, the largest spacing, as a power of two, at which it would be sampled too. */
  readonly rarities: Uint8Array<ArrayBuffer>;
}

/** Mean distance of the sampled strings of a content of this size: 64 bytes up to 8 KiB, then about 128 strings, then 2 KiB. */
export function spacingFor(size: number): number {
  let log = MIN_SPACING_LOG;
  while (log < MAX_SPACING_LOG && size > 2 ** (DENSE_LOG - MIN_SPACING_LOG + log)) log++;
  return 2 ** log;
}

/** Values of bytes in the rolling hash: any fixed numbers without pattern do. */
const GEAR = gearTable();

function gearTable(): Uint32Array {
  let state = 0x9e3779b9;
  return Uint32Array.from({ length: 256 }, () => {
    // xorshift32 (Marsaglia 2003), mixed once more.
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return Math.imul(state, 0x2c1b3c6d) >>> 0;
  });
}

/** Samples bytes. Those of one content may come in slices, each sampled apart: only strings across a cut are missed. */
export function sketchOf(bytes: Uint8Array, spacing: number): Sketch {
  const below = 2 ** 32 / spacing;
  const found: number[] = [];
  let hash = 0;
  const { length } = bytes;
  const warm = Math.min(STRING_BYTES - 1, length);
  for (let at = 0; at < warm; at++) hash = ((hash << 1) + GEAR[bytes[at]!]!) | 0;
  for (let at = warm; at < length; at++) {
    hash = ((hash << 1) + GEAR[bytes[at]!]!) | 0;
    if (hash >>> 0 < below) {
      // Runs of one byte and short patterns say nothing.
      if (bytes[at] === bytes[at - 1] && bytes[at] === bytes[at - 7] && bytes[at] === bytes[at - 20]) continue;
      found.push(stringHash(bytes, at) * 64 + Math.clz32(hash));
    }
  }
  return fromPairs(Float64Array.from(found).sort());
}

/** All sampled strings of a content's slices. */
export function joinSketches(sketches: readonly Sketch[]): Sketch {
  if (sketches.length === 1) return sketches[0]!;
  const pairs = new Float64Array(sketches.reduce((sum, { hashes }) => sum + hashes.length, 0));
  let count = 0;
  for (const { hashes, rarities } of sketches)
    for (let index = 0; index < hashes.length; index++) pairs[count++] = hashes[index]! * 64 + rarities[index]!;
  return fromPairs(pairs.sort());
}

function fromPairs(pairs: Float64Array): Sketch {
  const hashes = new Uint32Array(pairs.length);
  const rarities = new Uint8Array(pairs.length);
  let count = 0;
  for (const pair of pairs) {
    const hash = Math.floor(pair / 64);
    // Of equal hashes the rarest comes last and stays.
    if (count === 0 || hashes[count - 1] !== hash) count++;
    hashes[count - 1] = hash;
    rarities[count - 1] = pair % 64;
  }
  return { hashes: hashes.slice(0, count), rarities: rarities.slice(0, count) };
}

/** Of the string that ends with the byte at `end`. */
function stringHash(bytes: Uint8Array, end: number): number {
  let hash = 0x811c9dc5;
  for (let at = end - STRING_BYTES + 1; at <= end; at++) hash = Math.imul(hash ^ bytes[at]!, 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return (hash ^ (hash >>> 13)) >>> (32 - HASH_BITS);
}
