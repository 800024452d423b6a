/** Huffman tables of literals (RFC 8878, 4.2): their descriptions, tables that decode, codes that encode. */
import { BackwardBits, BitWriter, notZstd } from './bits.ts';
import { MAX_HUFFMAN_BITS, MAX_WEIGHTS_LOG } from './format.ts';
import { decodingTable, EncodingTable, readDistribution, writeDistribution } from './fse-table.ts';
import { fittingLog, normalize } from './normalize.ts';

const SYMBOLS = 256;

/** Descriptions from this first byte on hold weights of four bits each. */
const PLAIN_WEIGHTS = 128;

export interface HuffmanTable {
  /** Bits of the longest code. */
  readonly maxBits: number;
  /** Bits of each symbol's code: 0 where it has none. */
  readonly lengths: Uint8Array;
  readonly codes: Uint16Array;
}

/** The codes of symbols with these lengths: the longest ones first, from zero on. */
export function huffmanTable(lengths: Uint8Array, maxBits: number): HuffmanTable {
  const next = new Uint16Array(maxBits + 2);
  const counts = new Uint16Array(maxBits + 2);
  for (const length of lengths) counts[length]!++;
  for (let bits = maxBits, first = 0; bits > 0; bits--) {
    next[bits] = first;
    first = (first + counts[bits]!) >>> 1;
  }
  const codes = new Uint16Array(SYMBOLS);
  for (let symbol = 0; symbol < SYMBOLS; symbol++) if (lengths[symbol] !== 0) codes[symbol] = next[lengths[symbol]!]!++;
  return { maxBits, lengths, codes };
}

/** Reads a description. @returns the table and where the description ends. @throws OsupdError `unsupported` */
export function readHuffmanTable(bytes: Uint8Array, start: number, end: number): { table: HuffmanTable; end: number } {
  if (start >= end) throw notZstd('literals without a table');
  const first = bytes[start]!;
  const weights = new Uint8Array(SYMBOLS);
  let count: number;
  let at: number;
  if (first >= PLAIN_WEIGHTS) {
    count = first - PLAIN_WEIGHTS + 1;
    at = start + 1 + ((count + 1) >> 1);
    if (at > end) throw notZstd('a table of literals that is cut off');
    for (let symbol = 0; symbol < count; symbol++) {
      const pair = bytes[start + 1 + (symbol >> 1)]!;
      weights[symbol] = symbol % 2 === 0 ? pair >>> 4 : pair & 15;
    }
  } else {
    at = start + 1 + first;
    if (at > end) throw notZstd('a table of literals that is cut off');
    count = readWeights(bytes, start + 1, at, weights);
  }
  return { table: weighedTable(weights, count), end: at };
}

/** Weights that two states in turn give. @returns how many there are. */
function readWeights(bytes: Uint8Array, start: number, end: number, weights: Uint8Array): number {
  const distribution = readDistribution(bytes, start, end, MAX_WEIGHTS_LOG, MAX_HUFFMAN_BITS + 1);
  if (distribution.end >= end) throw notZstd('a table of literals that is cut off');
  const { log, codes, bits, bases } = decodingTable(distribution);
  const stream = new BackwardBits(bytes, distribution.end, end);
  let state = stream.read(log);
  let other = stream.read(log);
  let count = 0;
  for (;;) {
    // The last two weights are those of the states that are left.
    if (count >= SYMBOLS - 2) throw notZstd('a table of too many literals');
    weights[count++] = codes[state]!;
    if (stream.left < bits[state]!) {
      weights[count++] = codes[other]!;
      return count;
    }
    const next = bases[state]! + stream.read(bits[state]!);
    state = other;
    other = next;
  }
}

/** The last symbol's weight is what is missing to a power of two. */
function weighedTable(weights: Uint8Array, count: number): HuffmanTable {
  let sum = 0;
  for (let symbol = 0; symbol < count; symbol++) sum += (1 << weights[symbol]!) >>> 1;
  const maxBits = 32 - Math.clz32(sum);
  const last = (1 << maxBits) - sum;
  if (sum === 0 || maxBits > MAX_HUFFMAN_BITS || (last & (last - 1)) !== 0)
    throw notZstd('a table of literals that is not complete');
  weights[count] = 32 - Math.clz32(last);
  const lengths = new Uint8Array(SYMBOLS);
  for (let symbol = 0; symbol <= count; symbol++)
    lengths[symbol] = weights[symbol] === 0 ? 0 : maxBits + 1 - weights[symbol]!;
  return huffmanTable(lengths, maxBits);
}

/** What each `maxBits` bits begin with: the symbol (above) and the bits of its code (the lowest four). */
export function huffmanDecodingTable({ maxBits, lengths, codes }: HuffmanTable): Uint16Array {
  const table = new Uint16Array(1 << maxBits);
  for (let symbol = 0; symbol < SYMBOLS; symbol++) {
    const length = lengths[symbol]!;
    if (length === 0) continue;
    const width = maxBits - length;
    const at = codes[symbol]! << width;
    table.fill((symbol << 4) | length, at, at + (1 << width));
  }
  return table;
}

/** Room that a description takes at most. */
export const MAX_DESCRIPTION_BYTES = 256;

/** The description that zstd's encoder gives a table; undefined where it gives up. */
export function describeHuffmanTable({ maxBits, lengths }: HuffmanTable): Uint8Array | undefined {
  let count = SYMBOLS - 1;
  while (count > 0 && lengths[count] === 0) count--;
  const weights = new Uint8Array(count + 1);
  for (let symbol = 0; symbol < count; symbol++)
    weights[symbol] = lengths[symbol] === 0 ? 0 : maxBits + 1 - lengths[symbol]!;
  const coded = codeWeights(weights.subarray(0, count));
  // One that comes to a single byte of weights is not taken, nor one as long as the plain form.
  if (coded !== undefined && coded.length > 2 && coded.length - 1 < count >> 1) return coded;
  if (count > PLAIN_WEIGHTS) return undefined;
  const out = new Uint8Array(1 + ((count + 1) >> 1));
  out[0] = PLAIN_WEIGHTS + count - 1;
  for (let symbol = 0; symbol < count; symbol += 2)
    out[1 + (symbol >> 1)] = (weights[symbol]! << 4) + weights[symbol + 1]!;
  return out;
}

/** Weights as two states in turn code them, behind their length; undefined where it is no gain. */
function codeWeights(weights: Uint8Array): Uint8Array | undefined {
  if (weights.length <= 2) return undefined;
  const histogram = new Uint32Array(MAX_HUFFMAN_BITS + 2);
  let maxCode = 0;
  for (const weight of weights) {
    histogram[weight]!++;
    if (weight > maxCode) maxCode = weight;
  }
  const most = Math.max(...histogram);
  if (most === weights.length || most === 1) return undefined;
  const log = fittingLog(MAX_WEIGHTS_LOG, weights.length, maxCode);
  const distribution = { log, counts: normalize(log, histogram, maxCode, weights.length, 1) };
  const out = new Uint8Array(2 * MAX_DESCRIPTION_BYTES);
  const header = new BitWriter(out, 1);
  writeDistribution(header, distribution);
  const bits = new BitWriter(out, header.finish());
  const table = new EncodingTable(distribution);
  let at = weights.length;
  // The states take turns; the first one has the first weight.
  const states = [0, 0];
  states[(at - 1) & 1] = table.firstState(weights[--at]!);
  states[(at - 1) & 1] = table.firstState(weights[--at]!);
  while (at > 0) {
    const code = weights[--at]!;
    const state = states[at & 1]!;
    const width = (state + table.bits[code]!) >>> 16;
    bits.add(state & ((1 << width) - 1), width);
    states[at & 1] = table.states[(state >> width) + table.offsets[code]!]!;
  }
  bits.add(states[1]! & ((1 << log) - 1), log);
  bits.add(states[0]! & ((1 << log) - 1), log);
  const end = bits.close();
  out[0] = end - 1;
  return end - 1 < PLAIN_WEIGHTS ? out.slice(0, end) : undefined;
}
