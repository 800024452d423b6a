/** Writes the blocks of a deflate stream. */
import type { BitWriter } from './bit-writer.ts';
import { codesOf } from './block-codes.ts';
import type { BlockCodes, CodeBits } from './read-stream.ts';
import {
  DISTANCE_BASE,
  DISTANCE_EXTRA_BITS,
  distanceCode,
  END_OF_BLOCK,
  FIXED_DISTANCE_LENGTHS,
  FIXED_LITERAL_LENGTHS,
  LENGTH_BASE,
  LENGTH_EXTRA_BITS,
  LITERAL,
  lengthCode,
  tokenDistance,
  tokenLength,
} from './symbols.ts';

const FIXED: BlockCodes = { literals: FIXED_LITERAL_LENGTHS, distances: FIXED_DISTANCE_LENGTHS };

/** Content and tokens of one block. */
export interface BlockTokens {
  readonly content: Uint8Array;
  /** Where in the content the block begins. */
  readonly start: number;
  readonly tokens: Uint32Array;
}

export function writeStoredBlock(out: BitWriter, bytes: Uint8Array, last: boolean): void {
  out.write(last ? 1 : 0, 3);
  out.align();
  out.write(bytes.length, 16);
  out.write(~bytes.length & 0xffff, 16);
  out.writeBytes(bytes);
}

export function writeFixedBlock(out: BitWriter, block: BlockTokens, last: boolean): void {
  out.write((last ? 1 : 0) | (1 << 1), 3);
  writeTokens(out, block, FIXED);
}

/** @returns false when the codes lack a symbol that the tokens need. */
export function writeDynamicBlock(
  out: BitWriter,
  block: BlockTokens,
  codes: BlockCodes,
  description: CodeBits,
  last: boolean,
): boolean {
  out.write((last ? 1 : 0) | (2 << 1), 3);
  out.writeBits(description);
  return writeTokens(out, block, codes);
}

function writeTokens(out: BitWriter, { content, start, tokens }: BlockTokens, lengths: BlockCodes): boolean {
  const { literals, distances } = lengths;
  const literalCodes = codesOf(literals);
  const distanceCodes = codesOf(distances);
  let complete = true;
  const symbol = (value: number): void => {
    const bits = literals[value] ?? 0;
    if (bits === 0) complete = false;
    out.write(literalCodes[value] ?? 0, bits);
  };
  let position = start;
  for (const token of tokens) {
    if (token === LITERAL) {
      symbol(content[position++] as number);
      continue;
    }
    const length = tokenLength(token);
    const code = lengthCode(length);
    symbol(END_OF_BLOCK + 1 + code);
    out.write(length - (LENGTH_BASE[code] as number), LENGTH_EXTRA_BITS[code] as number);
    const distance = tokenDistance(token);
    const far = distanceCode(distance);
    const bits = distances[far] ?? 0;
    if (bits === 0) complete = false;
    out.write(distanceCodes[far] ?? 0, bits);
    out.write(distance - (DISTANCE_BASE[far] as number), DISTANCE_EXTRA_BITS[far] as number);
    position += length;
  }
  symbol(END_OF_BLOCK);
  return complete;
}
