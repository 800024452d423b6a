/** The symbols of deflate (RFC 1951, section 3.2.5): lengths and distances as code plus extra bits. */

export const END_OF_BLOCK = 256;
export const MIN_MATCH = 3;
export const MAX_MATCH = 258;
/** Distances reach this far back. */
export const WINDOW_BYTES = 32 << 10;

/** Symbols that a literal/length code may have; two more exist in the fixed code and are never used. */
export const LITERAL_SYMBOLS = 286;
export const DISTANCE_SYMBOLS = 30;
export const CODE_LENGTH_SYMBOLS = 19;
export const MAX_CODE_BITS = 15;
export const MAX_CODE_LENGTH_BITS = 7;

/** Order in which the lengths of the code length code are written. */
export const CODE_LENGTH_ORDER = Uint8Array.of(16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15);

export const LENGTH_EXTRA_BITS = Uint8Array.from({ length: 29 }, (_, code) =>
  code < 8 || code === 28 ? 0 : (code >> 2) - 1,
);
export const DISTANCE_EXTRA_BITS = Uint8Array.from({ length: DISTANCE_SYMBOLS }, (_, code) =>
  code < 4 ? 0 : (code >> 1) - 1,
);
export const LENGTH_BASE = bases(LENGTH_EXTRA_BITS, MIN_MATCH);
export const DISTANCE_BASE = bases(DISTANCE_EXTRA_BITS, 1);
// The longest match has a code of its own, beside the last of those with extra bits.
LENGTH_BASE[28] = MAX_MATCH;

function bases(extraBits: Uint8Array, first: number): Uint16Array {
  let base = first;
  return Uint16Array.from(extraBits, (bits) => {
    const here = base;
    base += 1 << bits;
    return here;
  });
}

const LENGTH_CODE = new Uint8Array(MAX_MATCH + 1);
for (let code = 0; code < 28; code++) {
  const from = LENGTH_BASE[code] as number;
  LENGTH_CODE.fill(code, from, from + (1 << (LENGTH_EXTRA_BITS[code] as number)));
}
LENGTH_CODE[MAX_MATCH] = 28;

const DISTANCE_CODE = new Uint8Array(WINDOW_BYTES + 1);
for (let code = 0; code < DISTANCE_SYMBOLS; code++) {
  const from = DISTANCE_BASE[code] as number;
  DISTANCE_CODE.fill(code, from, from + (1 << (DISTANCE_EXTRA_BITS[code] as number)));
}

/** Index into {@link LENGTH_BASE} for a length of 3 to 258. */
export function lengthCode(length: number): number {
  return LENGTH_CODE[length] as number;
}

/** Index into {@link DISTANCE_BASE} for a distance of 1 to 32768. */
export function distanceCode(distance: number): number {
  return DISTANCE_CODE[distance] as number;
}

/** Code lengths of the fixed literal/length code, with its two unused symbols. */
export const FIXED_LITERAL_LENGTHS = Uint8Array.from({ length: 288 }, (_, symbol) =>
  symbol < 144 ? 8 : symbol < 256 ? 9 : symbol < 280 ? 7 : 8,
);
/** The same for distances; of these too the last two are never used. */
export const FIXED_DISTANCE_LENGTHS = new Uint8Array(32).fill(5);

/** One step of a stream: a literal, or a match as length and distance in one number. */
export type Token = number;

export const LITERAL: Token = 0;

export function matchToken(length: number, distance: number): Token {
  return (length << 16) | distance;
}

export function tokenLength(token: Token): number {
  return token === LITERAL ? 1 : token >>> 16;
}

export function tokenDistance(token: Token): number {
  return token & 0xffff;
}
