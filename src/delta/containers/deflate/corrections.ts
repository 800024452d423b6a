/**
 * The stored form of what a deflate stream says beyond its content: corrections of a prediction
 * (docs/formats/deflate-decisions.md).
 */
import { ByteReader, ByteWriter } from '../../../core/bytes.ts';
import { damagedDelta, damagedPart } from '../../damage.ts';
import type { BlockType, CodeBits } from './read-stream.ts';
import { SETTINGS_COUNT } from './settings.ts';
import {
  LITERAL,
  MAX_MATCH,
  MIN_MATCH,
  matchToken,
  type Token,
  tokenDistance,
  tokenLength,
  WINDOW_BYTES,
} from './symbols.ts';

const TYPES: readonly BlockType[] = ['stored', 'fixed', 'dynamic'];

/** A dynamic block describes its codes in no more bits: 14 and 3 for each length, then a code of 7 bits with 7 more for each of 316 lengths. */
const MAX_CODE_BITS = 14 + 3 * 19 + 14 * 316;

/** A block that differs from the prediction. */
export interface BlockCorrection {
  /** Blocks before it, since the one before that differs, that are as predicted. */
  readonly gap: number;
  readonly type: BlockType;
  /** Tokens; of a stored block, bytes. */
  readonly size: number;
  /** Given where the codes of a dynamic block are not those of the prediction. */
  readonly codes: CodeBits | undefined;
}

export interface Corrections {
  /** Number of the settings that the prediction has. */
  readonly settings: number;
  /** For each token that differs: how many before it are right, and the token. */
  readonly gaps: readonly number[];
  readonly tokens: readonly Token[];
  readonly blocks: readonly BlockCorrection[];
}

export function formatCorrections({ settings, gaps, tokens, blocks }: Corrections): Uint8Array {
  const out = new ByteWriter();
  out.u8(settings);
  out.varint(gaps.length);
  for (const gap of gaps) out.varint(gap);
  for (const token of tokens) out.varint(token === LITERAL ? 0 : tokenLength(token) - MIN_MATCH + 1);
  for (const token of tokens) if (token !== LITERAL) out.varint(tokenDistance(token));
  out.varint(blocks.length);
  for (const { gap, type, size, codes } of blocks) {
    out.varint(gap);
    out.varint(TYPES.indexOf(type) + (codes === undefined ? 0 : TYPES.length));
    out.varint(size);
    if (codes === undefined) continue;
    out.varint(codes.bits);
    out.bytes(codes.bytes);
  }
  return out.finish();
}

/** @throws OsupdError `damaged-delta` */
export function parseCorrections(bytes: Uint8Array): Corrections {
  const reader = new ByteReader(bytes, damagedPart('decisions of a deflate stream'));
  const settings = reader.u8('the settings');
  if (settings >= SETTINGS_COUNT) throw damagedDelta(`a deflate stream with settings ${settings}`);
  // Each takes a byte at least: no count is believed that the bytes cannot hold.
  const count = (what: string): number => {
    const value = reader.varint(what);
    if (value > reader.remaining) throw damagedDelta(`${what} of a deflate stream is ${value}`);
    return value;
  };
  const tokenCount = count('the number of tokens');
  const gaps = Array.from({ length: tokenCount }, () => reader.varint('a gap'));
  const lengths = Array.from({ length: tokenCount }, () => reader.varint('a length'));
  const tokens = lengths.map((value) => {
    if (value === 0) return LITERAL;
    const length = value + MIN_MATCH - 1;
    const distance = reader.varint('a distance');
    if (length > MAX_MATCH || distance === 0 || distance > WINDOW_BYTES)
      throw damagedDelta(`a deflate stream with a match of ${length} bytes at ${distance}`);
    return matchToken(length, distance);
  });
  const blocks = Array.from({ length: count('the number of blocks') }, () => parseBlock(reader));
  if (reader.remaining > 0) throw damagedDelta('decisions of a deflate stream have more bytes than they say');
  return { settings, gaps, tokens, blocks };
}

function parseBlock(reader: ByteReader): BlockCorrection {
  const gap = reader.varint('a gap');
  const kind = reader.varint('the type of a block');
  const type = TYPES[kind % TYPES.length] as BlockType;
  if (kind > 2 * TYPES.length - 1 || (kind >= TYPES.length && type !== 'dynamic'))
    throw damagedDelta(`a deflate stream has a block of type ${kind}`);
  const size = reader.varint('the size of a block');
  if (kind < TYPES.length) return { gap, type, size, codes: undefined };
  const bits = reader.varint('the size of codes');
  if (bits > MAX_CODE_BITS) throw damagedDelta(`a block of a deflate stream describes its codes in ${bits} bits`);
  return { gap, type, size, codes: { bits, bytes: reader.take((bits + 7) >> 3, 'the codes of a block') } };
}
