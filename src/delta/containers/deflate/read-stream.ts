/**
 * Reads a deflate stream (RFC 1951) into its content and what its compressor decided: tokens, blocks, codes. Bytes come from
 * anywhere: whatever is not deflate, or deflate in a way that {@link writeStream} cannot repeat, gives undefined.
 */
import { BitReader } from './bit-reader.ts';
import { DecodingTable } from './decoding-table.ts';
import {
  CODE_LENGTH_ORDER,
  CODE_LENGTH_SYMBOLS,
  DISTANCE_BASE,
  DISTANCE_EXTRA_BITS,
  DISTANCE_SYMBOLS,
  END_OF_BLOCK,
  FIXED_DISTANCE_LENGTHS,
  FIXED_LITERAL_LENGTHS,
  LENGTH_BASE,
  LENGTH_EXTRA_BITS,
  LITERAL,
  LITERAL_SYMBOLS,
  MAX_MATCH,
  matchToken,
} from './symbols.ts';
import { TokenList } from './token-list.ts';

export type BlockType = 'stored' | 'fixed' | 'dynamic';

export interface DeflateBlock {
  readonly type: BlockType;
  /** Where its tokens begin in the list, and how many they are; a stored block has none. */
  readonly firstToken: number;
  readonly tokens: number;
  /** Bytes of content. */
  readonly length: number;
  /** The description of a dynamic block's codes, as it stands in the stream: bytes, and the bits that count. */
  readonly codes: CodeBits | undefined;
}

/** Bits, the first in the lowest bit of the first byte. */
export interface CodeBits {
  readonly bytes: Uint8Array;
  readonly bits: number;
}

export interface DeflateStream {
  readonly content: Uint8Array;
  readonly tokens: Uint32Array;
  readonly blocks: readonly DeflateBlock[];
  /** Offset after the stream's last byte. */
  readonly end: number;
}

/** The codes that a dynamic block's header describes. */
export interface BlockCodes {
  readonly literals: Uint8Array;
  readonly distances: Uint8Array;
}

const FIXED = {
  literals: DecodingTable.of(FIXED_LITERAL_LENGTHS) as DecodingTable,
  distances: DecodingTable.of(FIXED_DISTANCE_LENGTHS) as DecodingTable,
};

/**
 * @param offset where the stream begins.
 * @param maxContent a stream with more content is not read.
 * @returns undefined for what is no deflate stream, or one that cannot be written again from content and decisions.
 */
export function readStream(bytes: Uint8Array, offset: number, maxContent: number): DeflateStream | undefined {
  const input = new BitReader(bytes, offset);
  const content = new ContentBuffer(maxContent);
  const tokens = new TokenList();
  const blocks: DeflateBlock[] = [];
  for (let last = false; !last; ) {
    const header = input.read(3);
    last = (header & 1) !== 0;
    const block = readBlock(header >> 1, input, content, tokens);
    if (block === undefined || input.overrun) return undefined;
    blocks.push(block);
  }
  if (!input.alignWithZeros()) return undefined;
  return { content: content.bytes(), tokens: tokens.toArray(), blocks, end: input.offset };
}

function readBlock(
  type: number,
  input: BitReader,
  content: ContentBuffer,
  tokens: TokenList,
): DeflateBlock | undefined {
  const start = content.length;
  const firstToken = tokens.length;
  if (type === 0) {
    if (!readStored(input, content)) return undefined;
    return { type: 'stored', firstToken, tokens: 0, length: content.length - start, codes: undefined };
  }
  if (type > 2) return undefined;
  let tables = FIXED;
  let codes: CodeBits | undefined;
  if (type === 2) {
    const from = input.bitOffset;
    const lengths = readCodes(input);
    if (lengths === undefined) return undefined;
    codes = input.copyBits(from, input.bitOffset);
    const literals = DecodingTable.of(lengths.literals);
    const distances = DecodingTable.of(lengths.distances);
    if (literals === undefined || distances === undefined) return undefined;
    tables = { literals, distances };
  }
  if (!readTokens(input, tables.literals, tables.distances, content, tokens)) return undefined;
  return {
    type: type === 1 ? 'fixed' : 'dynamic',
    firstToken,
    tokens: tokens.length - firstToken,
    length: content.length - start,
    codes,
  };
}

function readStored(input: BitReader, content: ContentBuffer): boolean {
  if (!input.alignWithZeros()) return false;
  const length = input.read(16);
  if ((length ^ 0xffff) !== input.read(16) || input.overrun) return false;
  const bytes = input.takeBytes(length);
  return bytes !== undefined && content.append(bytes);
}

/** Reads the header of a dynamic block behind its type (RFC 1951, section 3.2.7). */
export function readCodes(input: BitReader): BlockCodes | undefined {
  const literalCount = input.read(5) + 257;
  const distanceCount = input.read(5) + 1;
  const codeLengthCount = input.read(4) + 4;
  if (literalCount > LITERAL_SYMBOLS || distanceCount > DISTANCE_SYMBOLS) return undefined;
  const codeLengths = new Uint8Array(CODE_LENGTH_SYMBOLS);
  for (let at = 0; at < codeLengthCount; at++) codeLengths[CODE_LENGTH_ORDER[at] as number] = input.read(3);
  const table = DecodingTable.of(codeLengths);
  if (table === undefined) return undefined;
  const lengths = new Uint8Array(literalCount + distanceCount);
  for (let at = 0; at < lengths.length; ) {
    const symbol = table.read(input);
    if (symbol < 0 || input.overrun) return undefined;
    if (symbol < 16) {
      lengths[at++] = symbol;
      continue;
    }
    if (symbol === 16 && at === 0) return undefined;
    const value = symbol === 16 ? (lengths[at - 1] as number) : 0;
    const count = symbol === 16 ? 3 + input.read(2) : symbol === 17 ? 3 + input.read(3) : 11 + input.read(7);
    if (count > lengths.length - at) return undefined;
    lengths.fill(value, at, at + count);
    at += count;
  }
  return { literals: lengths.subarray(0, literalCount), distances: lengths.subarray(literalCount) };
}

function readTokens(
  input: BitReader,
  literals: DecodingTable,
  distances: DecodingTable,
  content: ContentBuffer,
  tokens: TokenList,
): boolean {
  for (;;) {
    const symbol = literals.read(input);
    if (symbol < 0 || input.overrun) return false;
    if (symbol === END_OF_BLOCK) return true;
    if (symbol < END_OF_BLOCK) {
      if (!content.push(symbol)) return false;
      tokens.push(LITERAL);
      continue;
    }
    const code = symbol - END_OF_BLOCK - 1;
    if (code >= LENGTH_BASE.length) return false;
    const length = (LENGTH_BASE[code] as number) + input.read(LENGTH_EXTRA_BITS[code] as number);
    // The longest match in the other of its two forms: nobody writes it, and a token does not tell them apart.
    if (length === MAX_MATCH && code !== LENGTH_BASE.length - 1) return false;
    const far = distances.read(input);
    if (far < 0 || far >= DISTANCE_SYMBOLS) return false;
    const distance = (DISTANCE_BASE[far] as number) + input.read(DISTANCE_EXTRA_BITS[far] as number);
    if (input.overrun || !content.copy(distance, length)) return false;
    tokens.push(matchToken(length, distance));
  }
}

/** Content that grows up to a limit. */
class ContentBuffer {
  length = 0;
  readonly #limit: number;
  #bytes = new Uint8Array(64 << 10);

  constructor(limit: number) {
    this.#limit = limit;
  }

  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.length);
  }

  push(byte: number): boolean {
    if (!this.#room(1)) return false;
    this.#bytes[this.length++] = byte;
    return true;
  }

  append(bytes: Uint8Array): boolean {
    if (!this.#room(bytes.length)) return false;
    this.#bytes.set(bytes, this.length);
    this.length += bytes.length;
    return true;
  }

  copy(distance: number, length: number): boolean {
    if (distance > this.length || !this.#room(length)) return false;
    const bytes = this.#bytes;
    // Source and target may overlap: what was just written is read again.
    for (let to = this.length, end = to + length; to < end; to++) bytes[to] = bytes[to - distance] as number;
    this.length += length;
    return true;
  }

  #room(count: number): boolean {
    const need = this.length + count;
    if (need > this.#limit) return false;
    if (need > this.#bytes.length) {
      const grown = new Uint8Array(Math.min(this.#limit, Math.max(need, 2 * this.#bytes.length)));
      grown.set(this.bytes());
      this.#bytes = grown;
    }
    return true;
  }
}
