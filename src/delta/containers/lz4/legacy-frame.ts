/**
 * The legacy frame of LZ4, as kernels have it: blocks of 8 MiB of content, each compressed by itself; and what their compressor
 * decided, as corrections of a prediction (docs/formats/lz4-decisions.md).
 */
import { ByteReader, ByteWriter } from '../../../core/bytes.ts';
import { damagedDelta, damagedPart } from '../../damage.ts';
import { BlockWriter, MAX_DISTANCE, MIN_MATCH, readBlock, type Sequences } from './block.ts';
import { LEVELS, SequencePredictor } from './sequence-predictor.ts';

const MAGIC = 0x184c2102;

/** Content of every block but the last. */
const BLOCK_BYTES = 8 << 20;

/** Sequences by which levels are compared. */
const SAMPLE_SEQUENCES = 20_000;

/** A frame of which more sequences are predicted wrongly comes from another compressor. */
const MAX_WRONG_SHARE = 0.2;
const MIN_MOST_WRONG = 50;

export interface LegacyFrame {
  readonly content: Uint8Array;
  readonly blocks: readonly Sequences[];
  /** Offset behind the last block. */
  readonly end: number;
}

export function beginsLegacyFrame(bytes: Uint8Array, offset: number): boolean {
  return bytes.length - offset >= 8 && u32(bytes, offset) === MAGIC;
}

/**
 * @param end the frame ends there at the latest: it does not say how long it is. @param limit bytes of content.
 * @returns undefined for what is no such frame, or has blocks of an unusual size.
 */
export function readLegacyFrame(
  bytes: Uint8Array,
  offset: number,
  end: number,
  limit: number,
): LegacyFrame | undefined {
  if (!beginsLegacyFrame(bytes, offset)) return undefined;
  const contents: Uint8Array[] = [];
  const blocks: Sequences[] = [];
  let left = limit;
  let at = offset + 4;
  for (let isLast = false; !isLast && end - at >= 4; ) {
    const stored = u32(bytes, at);
    if (stored === 0 || stored > end - at - 4) break;
    const block = readBlock(bytes.subarray(at + 4, at + 4 + stored), Math.min(BLOCK_BYTES, left));
    if (block === undefined) return undefined;
    contents.push(block.content);
    blocks.push(compact(block.sequences));
    left -= block.content.length;
    at += 4 + stored;
    isLast = block.content.length < BLOCK_BYTES;
  }
  return blocks.length === 0 ? undefined : { content: Buffer.concat(contents), blocks, end: at };
}

/** Where a frame ends by the sizes of its blocks, at `end` at the latest; undefined for what is no such frame. */
export function legacyFrameEnd(bytes: Uint8Array, offset: number, end: number): number | undefined {
  if (!beginsLegacyFrame(bytes, offset)) return undefined;
  let at = offset + 4;
  while (end - at >= 4) {
    const stored = u32(bytes, at);
    if (stored === 0 || stored > end - at - 4) break;
    at += 4 + stored;
  }
  return at;
}

/** The content of a frame, block by block. @param end as {@link legacyFrameEnd} gives it. @throws OsupdError `damaged-delta` */
export async function* legacyContent(bytes: Uint8Array, offset: number, end: number): AsyncGenerator<Uint8Array> {
  for (let at = offset + 4; at < end; ) {
    const next = at + 4 + u32(bytes, at);
    const block = readBlock(bytes.subarray(at + 4, next), BLOCK_BYTES);
    if (block === undefined) throw damagedDelta('a base has a damaged LZ4 frame');
    yield block.content;
    at = next;
  }
}

/** The stored form of a frame's decisions; undefined where no level predicts it well enough. */
export function encodeLegacyDecisions({ content, blocks }: LegacyFrame): Uint8Array | undefined {
  const first = blocks[0] as Sequences;
  const samples = LEVELS.map((level) => ({
    level,
    wrong: correctionsOf(content.subarray(0, BLOCK_BYTES), first, level, SAMPLE_SEQUENCES).length,
  }));
  const { level } = samples.reduce((best, other) => (other.wrong < best.wrong ? other : best));
  const out = new ByteWriter();
  out.u8(level);
  for (const [index, sequences] of blocks.entries()) {
    const own = content.subarray(index * BLOCK_BYTES, (index + 1) * BLOCK_BYTES);
    const corrections = correctionsOf(own, sequences, level, sequences.count);
    if (corrections.length > Math.max(MIN_MOST_WRONG, sequences.count * MAX_WRONG_SHARE)) return undefined;
    out.varint(corrections.length);
    for (const { gap, literals, match, offset } of corrections) {
      out.varint(gap);
      out.varint(literals);
      out.varint(match === 0 ? 0 : match - MIN_MATCH + 1);
      if (match > 0) out.varint(offset);
    }
  }
  return out.finish();
}

/** A sequence that differs from the prediction; a match of 0 bytes says that the last literals have come. */
interface Correction {
  /** Sequences before it, since the last one that differs, that are as predicted. */
  readonly gap: number;
  readonly literals: number;
  readonly match: number;
  readonly offset: number;
}

function correctionsOf(content: Uint8Array, sequences: Sequences, level: number, most: number): Correction[] {
  const { literals, matches, offsets } = sequences;
  const predictor = new SequencePredictor(content, level);
  const corrections: Correction[] = [];
  let gap = 0;
  let position = 0;
  const count = Math.min(sequences.count, most);
  for (let index = 0; index <= count; index++) {
    const isEnd = index === sequences.count;
    if (index === count && !isEnd) break;
    const literal = isEnd ? content.length - position : (literals[index] as number);
    const match = isEnd ? 0 : (matches[index] as number);
    const offset = isEnd ? 0 : (offsets[index] as number);
    predictor.predict();
    if (predictor.literals === literal && predictor.match === match && predictor.offset === offset) gap++;
    else {
      corrections.push({ gap, literals: literal, match, offset });
      gap = 0;
    }
    predictor.accept(literal, match, offset);
    position += literal + match;
  }
  return corrections;
}

/** Restores a frame from content that comes in pieces. */
export class LegacyRestorer {
  readonly #reader: ByteReader;
  readonly #level: number;
  #pending = new Uint8Array(BLOCK_BYTES);
  #filled = 0;
  #isFirst = true;

  /** @throws OsupdError `damaged-delta` */
  constructor(decisions: Uint8Array) {
    this.#reader = new ByteReader(decisions, damagedPart('decisions of an LZ4 frame'));
    this.#level = this.#reader.u8('the level');
    if (!LEVELS.includes(this.#level)) throw damagedDelta(`an LZ4 frame of level ${this.#level}`);
  }

  /** Takes content that follows. @returns bytes of the frame; valid for ever. @throws OsupdError `damaged-delta` */
  *append(content: Uint8Array): Generator<Uint8Array> {
    for (let at = 0; at < content.length; ) {
      const piece = content.subarray(at, at + BLOCK_BYTES - this.#filled);
      this.#pending.set(piece, this.#filled);
      this.#filled += piece.length;
      at += piece.length;
      if (this.#filled === BLOCK_BYTES) yield* this.#block();
    }
  }

  /** What is left. @throws OsupdError `damaged-delta` for decisions that are left over. */
  *finish(): Generator<Uint8Array> {
    if (this.#filled > 0) yield* this.#block();
    if (this.#reader.remaining > 0) throw damagedDelta('decisions of an LZ4 frame are left over');
  }

  *#block(): Generator<Uint8Array> {
    if (this.#isFirst) yield number(MAGIC);
    this.#isFirst = false;
    const block = this.#write(this.#pending.subarray(0, this.#filled));
    this.#filled = 0;
    yield number(block.length);
    yield block;
  }

  #write(content: Uint8Array): Uint8Array {
    const reader = this.#reader;
    const predictor = new SequencePredictor(content, this.#level);
    const out = new BlockWriter(content);
    let left = reader.varint('the number of corrections');
    let right = left > 0 ? reader.varint('a gap') : -1;
    for (let match = -1; match !== 0; ) {
      predictor.predict();
      let { literals, offset } = predictor;
      match = predictor.match;
      if (right === 0) {
        literals = reader.varint('literals');
        const code = reader.varint('a match');
        match = code === 0 ? 0 : code + MIN_MATCH - 1;
        offset = match === 0 ? 0 : reader.varint('an offset');
        left--;
        right = left > 0 ? reader.varint('a gap') : -1;
      } else right--;
      const after = content.length - out.position - literals - match;
      if (after < 0 || (match === 0 && after > 0)) throw damagedDelta('a sequence of an LZ4 frame leaves its content');
      if (match > 0 && (offset < 1 || offset > MAX_DISTANCE))
        throw damagedDelta(`a sequence of an LZ4 frame has the offset ${offset}`);
      predictor.accept(literals, match, offset);
      out.add(literals, match, offset);
    }
    if (left > 0) throw damagedDelta('corrections of an LZ4 frame are left over');
    return out.finish();
  }
}

function u32(bytes: Uint8Array, at: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(at, true);
}

function number(value: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value >>> 0);
  return bytes;
}

/** The columns without what they were too long. */
function compact({ count, literals, matches, offsets }: Sequences): Sequences {
  return {
    count,
    literals: literals.slice(0, count),
    matches: matches.slice(0, count),
    offsets: offsets.slice(0, count),
  };
}
