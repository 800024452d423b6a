/** What RFC 8878 fixes of the zstd format: magic numbers, codes of lengths, distributions that need no description. */

export const FRAME_MAGIC = 0xfd2fb528;

/** The lowest of the sixteen magic numbers of skippable frames. */
export const SKIPPABLE_MAGIC = 0x184d2a50;
export const SKIPPABLE_MAGICS = 16;

export const MIN_WINDOW_LOG = 10;

/** Content of one block at most; also what encoders up to 1.5.6 cut content into. */
export const MAX_BLOCK_BYTES = 128 << 10;

export const MIN_MATCH = 3;

export const BLOCK_RAW = 0;
export const BLOCK_RLE = 1;
export const BLOCK_COMPRESSED = 2;

export const LITERALS_RAW = 0;
export const LITERALS_RLE = 1;
export const LITERALS_COMPRESSED = 2;
export const LITERALS_TREELESS = 3;

/** How the codes of one column of a block's sequences are coded. */
export const TABLE_PREDEFINED = 0;
export const TABLE_RLE = 1;
export const TABLE_DESCRIBED = 2;
export const TABLE_REPEATED = 3;

/** The columns of sequences, in the order of their tables. */
export const LITERAL_LENGTH = 0;
export const OFFSET = 1;
export const MATCH_LENGTH = 2;
export const COLUMNS = 3;

export const MAX_HUFFMAN_BITS = 11;
export const MAX_WEIGHTS_LOG = 6;

/** From this count on the number of sequences takes three bytes. */
export const LONG_SEQUENCE_COUNT = 0x7f00;

function bases(bits: Uint8Array, first: number): Uint32Array {
  const out = new Uint32Array(bits.length);
  let base = first;
  for (let code = 0; code < bits.length; code++) {
    out[code] = base;
    base += 2 ** bits[code]!;
  }
  return out;
}

/** Bits that follow the code of a literal length, of a match length. */
export const LITERAL_LENGTH_BITS = Uint8Array.from([
  ...new Array<number>(16).fill(0),
  ...[1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16],
]);
export const MATCH_LENGTH_BITS = Uint8Array.from([
  ...new Array<number>(32).fill(0),
  ...[1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16],
]);
export const LITERAL_LENGTH_BASES = bases(LITERAL_LENGTH_BITS, 0);
export const MATCH_LENGTH_BASES = bases(MATCH_LENGTH_BITS, MIN_MATCH);

/** Codes of the lengths that are small enough for a table. */
function codes(lengthBases: Uint32Array, first: number, count: number): Uint8Array {
  const out = new Uint8Array(count);
  for (let at = 0, code = 0; at < count; at++) {
    while (code + 1 < lengthBases.length && lengthBases[code + 1]! <= at + first) code++;
    out[at] = code;
  }
  return out;
}

const TABLED_LITERAL_LENGTHS = 64;
const TABLED_MATCH_LENGTHS = 128;
const LITERAL_LENGTH_CODES = codes(LITERAL_LENGTH_BASES, 0, TABLED_LITERAL_LENGTHS);
const MATCH_LENGTH_CODES = codes(MATCH_LENGTH_BASES, MIN_MATCH, TABLED_MATCH_LENGTHS);

/** From 64 on each code covers twice as many lengths as the one before. */
const LITERAL_LENGTH_ABOVE = 19;
const MATCH_LENGTH_ABOVE = 36;

export function literalLengthCode(length: number): number {
  return length < TABLED_LITERAL_LENGTHS
    ? LITERAL_LENGTH_CODES[length]!
    : 31 - Math.clz32(length) + LITERAL_LENGTH_ABOVE;
}

export function matchLengthCode(length: number): number {
  const above = length - MIN_MATCH;
  return above < TABLED_MATCH_LENGTHS ? MATCH_LENGTH_CODES[above]! : 31 - Math.clz32(above) + MATCH_LENGTH_ABOVE;
}

export interface Column {
  /** The highest code. */
  readonly maxCode: number;
  /** The largest table: 2 to this power states. */
  readonly maxLog: number;
  /** Counts of a table without description (-1: less than one), and its log. */
  readonly defaults: Int16Array;
  readonly defaultLog: number;
}

export const COLUMN_RULES: readonly Column[] = [
  {
    maxCode: 35,
    maxLog: 9,
    defaults: Int16Array.from([
      4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1, 1, 1, 1, -1, -1, -1, -1,
    ]),
    defaultLog: 6,
  },
  {
    maxCode: 31,
    maxLog: 8,
    defaults: Int16Array.from([1, 1, 1, 1, 1, 1, 2, 2, 2, ...new Array<number>(15).fill(1), -1, -1, -1, -1, -1]),
    defaultLog: 5,
  },
  {
    maxCode: 52,
    maxLog: 9,
    defaults: Int16Array.from([
      ...[1, 4, 3, 2, 2, 2, 2, 2, 2],
      ...new Array<number>(37).fill(1),
      ...new Array<number>(7).fill(-1),
    ]),
    defaultLog: 6,
  },
];
