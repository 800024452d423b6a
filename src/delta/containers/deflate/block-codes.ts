/**
 * The codes of one block as zlib and gzip choose them: Huffman codes of its tokens, their description in the block's header,
 * and whether the block is worth them (RFC 1951, section 3.2.7).
 */
import { BitWriter } from './bit-writer.ts';
import { codeLengths, type HuffmanCode } from './code-lengths.ts';
import { reverseBits } from './decoding-table.ts';
import type { BlockCodes, BlockType, CodeBits } from './read-stream.ts';
import {
  CODE_LENGTH_ORDER,
  CODE_LENGTH_SYMBOLS,
  DISTANCE_EXTRA_BITS,
  DISTANCE_SYMBOLS,
  distanceCode,
  END_OF_BLOCK,
  FIXED_DISTANCE_LENGTHS,
  FIXED_LITERAL_LENGTHS,
  LENGTH_EXTRA_BITS,
  LITERAL,
  LITERAL_SYMBOLS,
  lengthCode,
  MAX_CODE_BITS,
  MAX_CODE_LENGTH_BITS,
  tokenDistance,
  tokenLength,
} from './symbols.ts';

/** How often each symbol occurs in a block, its end included. */
export interface Frequencies {
  readonly literals: Uint32Array;
  readonly distances: Uint32Array;
}

export interface ChosenCodes {
  readonly type: BlockType;
  /** The codes of a dynamic block, whatever the type. */
  readonly codes: BlockCodes;
  readonly description: CodeBits;
}

/** @param start where the block's content begins. */
export function countSymbols(tokens: Uint32Array, content: Uint8Array, start: number): Frequencies {
  const literals = new Uint32Array(LITERAL_SYMBOLS);
  const distances = new Uint32Array(DISTANCE_SYMBOLS);
  literals[END_OF_BLOCK] = 1;
  let position = start;
  for (const token of tokens) {
    const length = tokenLength(token);
    const symbol = token === LITERAL ? (content[position] as number) : END_OF_BLOCK + 1 + lengthCode(length);
    literals[symbol] = (literals[symbol] as number) + 1;
    if (token !== LITERAL) {
      const code = distanceCode(tokenDistance(token));
      distances[code] = (distances[code] as number) + 1;
    }
    position += length;
  }
  return { literals, distances };
}

/** @param length bytes of the block's content. */
export function chooseCodes(frequencies: Frequencies, length: number): ChosenCodes {
  const literals = codeLengths(frequencies.literals, MAX_CODE_BITS);
  const distances = codeLengths(frequencies.distances, MAX_CODE_BITS);
  const description = describeCodes(literals, distances);
  const dynamicBits = description.bits + costOf(frequencies, literals.lengths, distances.lengths);
  const fixedBits = costOf(frequencies, FIXED_LITERAL_LENGTHS, FIXED_DISTANCE_LENGTHS);
  const dynamicBytes = (dynamicBits + 3 + 7) >>> 3;
  const fixedBytes = (fixedBits + 3 + 7) >>> 3;
  const stored = length + 4 <= Math.min(dynamicBytes, fixedBytes);
  return {
    type: stored ? 'stored' : fixedBytes <= dynamicBytes ? 'fixed' : 'dynamic',
    codes: { literals: literals.lengths, distances: distances.lengths },
    description,
  };
}

function costOf({ literals, distances }: Frequencies, literalBits: Uint8Array, distanceBits: Uint8Array): number {
  let bits = 0;
  for (let symbol = 0; symbol < LITERAL_SYMBOLS; symbol++) {
    const extra = symbol > END_OF_BLOCK ? (LENGTH_EXTRA_BITS[symbol - END_OF_BLOCK - 1] as number) : 0;
    bits += (literals[symbol] as number) * ((literalBits[symbol] ?? 0) + extra);
  }
  for (let code = 0; code < DISTANCE_SYMBOLS; code++) {
    bits += (distances[code] as number) * ((distanceBits[code] ?? 0) + (DISTANCE_EXTRA_BITS[code] as number));
  }
  return bits;
}

/** Both codes' lengths, run-length coded and coded by a code of their own. */
function describeCodes(literals: HuffmanCode, distances: HuffmanCode): CodeBits {
  const runs = [...runsOf(literals.lengths), ...runsOf(distances.lengths)];
  const frequencies = new Uint32Array(CODE_LENGTH_SYMBOLS);
  for (const { symbol } of runs) frequencies[symbol] = (frequencies[symbol] as number) + 1;
  const { lengths } = codeLengths(frequencies, MAX_CODE_LENGTH_BITS);
  let written = CODE_LENGTH_SYMBOLS;
  while (written > 4 && (lengths[CODE_LENGTH_ORDER[written - 1] as number] ?? 0) === 0) written--;
  const codes = codesOf(lengths);
  const out = new BitWriter();
  out.write(literals.lengths.length - 257, 5);
  out.write(distances.lengths.length - 1, 5);
  out.write(written - 4, 4);
  for (let at = 0; at < written; at++) out.write(lengths[CODE_LENGTH_ORDER[at] as number] ?? 0, 3);
  for (const { symbol, extra, extraBits } of runs) {
    out.write(codes[symbol] as number, lengths[symbol] as number);
    out.write(extra, extraBits);
  }
  return out.toBits();
}

interface Run {
  readonly symbol: number;
  readonly extra: number;
  readonly extraBits: number;
}

/** Runs as zlib cuts them: each code's lengths by themselves, the longest repetition first. */
function* runsOf(lengths: Uint8Array): Generator<Run> {
  let before = -1;
  for (let at = 0; at < lengths.length; ) {
    const value = lengths[at] as number;
    let count = 1;
    const most = value === 0 ? 138 : value === before ? 6 : 7;
    while (count < most && lengths[at + count] === value) count++;
    at += count;
    if (value === 0) {
      if (count < 3) yield* repeated(value, count);
      else if (count <= 10) yield { symbol: 17, extra: count - 3, extraBits: 3 };
      else yield { symbol: 18, extra: count - 11, extraBits: 7 };
    } else {
      const first = value === before ? 0 : 1;
      if (count < first + 3) yield* repeated(value, count);
      else {
        yield* repeated(value, first);
        yield { symbol: 16, extra: count - first - 3, extraBits: 2 };
      }
    }
    before = value;
  }
}

function* repeated(symbol: number, count: number): Generator<Run> {
  for (let index = 0; index < count; index++) yield { symbol, extra: 0, extraBits: 0 };
}

/** The codes that belong to lengths, with their bits in the order of writing. */
export function codesOf(lengths: Uint8Array): Uint16Array {
  const next = new Uint32Array(MAX_CODE_BITS + 2);
  for (const bits of lengths) if (bits > 0) next[bits + 1] = (next[bits + 1] as number) + 1;
  for (let bits = 1; bits <= MAX_CODE_BITS; bits++) {
    next[bits + 1] = ((next[bits] as number) + (next[bits + 1] as number)) << 1;
  }
  return Uint16Array.from(lengths, (bits) => {
    if (bits === 0) return 0;
    const code = next[bits] as number;
    next[bits] = code + 1;
    return reverseBits(code, bits);
  });
}
