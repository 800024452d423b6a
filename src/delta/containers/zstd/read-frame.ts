/** Reads zstd frames (RFC 8878) into content and decisions. Strict: what no encoder makes is left to other codecs. */
import { freeMemory } from '../../../core/bytes.ts';
import { OsupdError } from '../../../core/errors.ts';
import { notZstd } from './bits.ts';
import { type Block, type BlockForm, type Frame, Sequences, type ZstdFile } from './decisions.ts';
import {
  BLOCK_COMPRESSED,
  BLOCK_RAW,
  BLOCK_RLE,
  FRAME_MAGIC,
  MAX_BLOCK_BYTES,
  MIN_WINDOW_LOG,
  SKIPPABLE_MAGIC,
  SKIPPABLE_MAGICS,
} from './format.ts';
import { OffsetHistory } from './offset-history.ts';
import { LiteralsReader } from './read-literals.ts';
import { SequencesReader } from './read-sequences.ts';

export interface ZstdLimits {
  /** Content of all frames. */
  readonly contentBytes: number;
  readonly windowBytes: number;
}

/** Content and decisions of zstd frames; undefined where the bytes are anything else, or more than the limits allow. */
export function readZstd(bytes: Uint8Array, limits: ZstdLimits): ZstdFile | undefined {
  try {
    return new FrameReader(bytes, limits).read();
  } catch (error) {
    // Bytes that are no zstd frames are common, and what other codecs are for.
    if (error instanceof OsupdError && error.code === 'unsupported') return undefined;
    throw error;
  }
}

class FrameReader {
  readonly #bytes: Uint8Array;
  readonly #limits: ZstdLimits;
  readonly #sequences = new Sequences();
  readonly #literals = new LiteralsReader();
  readonly #sequencesReader = new SequencesReader();
  readonly #offsets = new OffsetHistory();
  #content: Uint8Array;
  /** Bytes of content so far, and where that of the frame begins. */
  #size = 0;
  #frameStart = 0;
  #windowSize = 0;

  constructor(bytes: Uint8Array, limits: ZstdLimits) {
    this.#bytes = bytes;
    this.#limits = limits;
    this.#content = new Uint8Array(Math.min(4 * bytes.length + MAX_BLOCK_BYTES, limits.contentBytes));
  }

  read(): ZstdFile {
    const frames: Frame[] = [];
    let at = 0;
    while (at < this.#bytes.length) {
      const frame = this.#frame(at);
      frames.push(frame);
      at = frame.end;
    }
    if (frames.length === 0) throw notZstd('nothing');
    return {
      bytes: this.#bytes,
      content: this.#content.subarray(0, this.#size),
      frames,
      sequences: this.#sequences,
    };
  }

  /** A little-endian number of up to 6 bytes. */
  #number(at: number, count: number): number {
    if (at + count > this.#bytes.length) throw notZstd('a frame that is cut off');
    let value = 0;
    for (let byte = count - 1; byte >= 0; byte--) value = value * 256 + this.#bytes[at + byte]!;
    return value;
  }

  #frame(start: number): Frame {
    const magic = this.#number(start, 4);
    if (magic >= SKIPPABLE_MAGIC && magic < SKIPPABLE_MAGIC + SKIPPABLE_MAGICS) return this.#skippable(start);
    if (magic !== FRAME_MAGIC) throw notZstd('another magic number');
    const descriptor = this.#number(start + 4, 1);
    const single = (descriptor & 0x20) !== 0;
    if ((descriptor & 0x18) !== 0) throw notZstd('reserved bits that are set');
    if ((descriptor & 3) !== 0) throw notZstd('a dictionary that is not at hand');
    let at = start + 5;
    let windowSize = 0;
    if (!single) {
      const window = this.#number(at++, 1);
      const base = 2 ** (MIN_WINDOW_LOG + (window >>> 3));
      windowSize = base + (base / 8) * (window & 7);
    }
    const sizeCode = descriptor >>> 6;
    const sizeBytes = sizeCode === 0 ? Number(single) : 2 ** sizeCode;
    let contentSize: number | undefined;
    if (sizeBytes > 0) {
      contentSize = this.#number(at, Math.min(sizeBytes, 6)) + (sizeBytes === 2 ? 256 : 0);
      if (sizeBytes === 8 && this.#number(at + 6, 2) !== 0) throw notZstd('content that is too large');
    }
    at += sizeBytes;
    if (single) windowSize = contentSize!;
    if (windowSize > this.#limits.windowBytes) throw notZstd('a window that is too large');
    return this.#blocks(start, at, windowSize, contentSize, (descriptor & 4) !== 0, single);
  }

  #skippable(start: number): Frame {
    const end = start + 8 + this.#number(start + 4, 4);
    if (end > this.#bytes.length) throw notZstd('a frame that is cut off');
    return {
      start,
      headerEnd: end,
      end,
      windowSize: 0,
      contentStart: this.#size,
      contentSize: 0,
      hasChecksum: false,
      hasContentSize: false,
      isSingle: false,
      blocks: [],
    };
  }

  #blocks(
    start: number,
    headerEnd: number,
    windowSize: number,
    contentSize: number | undefined,
    hasChecksum: boolean,
    isSingle: boolean,
  ): Frame {
    this.#literals.reset();
    this.#sequencesReader.reset();
    this.#offsets.reset();
    this.#frameStart = this.#size;
    this.#windowSize = windowSize;
    const blocks: Block[] = [];
    let at = headerEnd;
    for (let last = false; !last; at = blocks[blocks.length - 1]!.end) {
      const header = this.#number(at, 3);
      last = (header & 1) !== 0;
      blocks.push(this.#block(at, (header >>> 1) & 3, header >>> 3));
    }
    const size = this.#size - this.#frameStart;
    if (contentSize !== undefined && contentSize !== size) throw notZstd('content of another size than declared');
    const end = at + (hasChecksum ? 4 : 0);
    if (end > this.#bytes.length) throw notZstd('a frame that is cut off');
    return {
      start,
      headerEnd,
      end,
      windowSize,
      contentStart: this.#frameStart,
      contentSize: size,
      hasChecksum,
      hasContentSize: contentSize !== undefined,
      isSingle,
      blocks,
    };
  }

  #block(start: number, kind: number, length: number): Block {
    const at = start + 3;
    const end = at + (kind === BLOCK_RLE ? 1 : length);
    const most = Math.min(MAX_BLOCK_BYTES, Math.max(this.#windowSize, 1));
    if (end > this.#bytes.length) throw notZstd('a block that is cut off');
    if (length > most) throw notZstd('a block that is too large');
    this.#reserve(MAX_BLOCK_BYTES);
    const before = this.#size;
    const firstSequence = this.#sequences.count;
    let form: BlockForm | undefined;
    if (kind === BLOCK_RAW || kind === BLOCK_RLE) {
      if (before + length > this.#content.length) throw notZstd('content that is too large');
      if (kind === BLOCK_RAW) this.#content.set(this.#bytes.subarray(at, end), before);
      else this.#content.fill(this.#bytes[at]!, before, before + length);
      this.#size += length;
    } else if (kind === BLOCK_COMPRESSED) {
      const literals = this.#literals.read(this.#bytes, at, end);
      const columns = this.#sequencesReader.read(this.#bytes, literals.end, end, this.#sequences);
      form = { literals: literals.form, columns };
      this.#execute(firstSequence, literals.size, before + most);
    } else throw notZstd('a block of a kind that there is not');
    return {
      kind,
      size: this.#size - before,
      firstSequence,
      sequenceCount: this.#sequences.count - firstSequence,
      form,
      start,
      end,
    };
  }

  /** Room for a block, as far as the limit allows. */
  #reserve(bytes: number): void {
    const { length } = this.#content;
    if (this.#size + bytes <= length || length === this.#limits.contentBytes) return;
    const larger = new Uint8Array(Math.min(Math.max(2 * length, this.#size + bytes), this.#limits.contentBytes));
    larger.set(this.#content.subarray(0, this.#size));
    freeMemory(this.#content);
    this.#content = larger;
  }

  /** What literals and sequences of a block make, which ends before `limit`. */
  #execute(firstSequence: number, literalCount: number, limit: number): void {
    const { literals } = this.#literals;
    const { literalLengths, matchLengths, offsets, count } = this.#sequences;
    const content = this.#content;
    const end = Math.min(limit, content.length);
    let size = this.#size;
    let literalAt = 0;
    for (let at = firstSequence; at < count; at++) {
      const literalLength = literalLengths[at]!;
      const matchLength = matchLengths[at]!;
      if (literalLength > literalCount - literalAt) throw notZstd('a block with too few literals');
      if (size + literalLength + matchLength > end) throw notZstd('a block that is too large');
      for (const stop = literalAt + literalLength; literalAt < stop; ) content[size++] = literals[literalAt++]!;
      const offset = this.#offsets.take(offsets[at]!, literalLength);
      if (offset <= 0 || offset > size - this.#frameStart || offset > this.#windowSize)
        throw notZstd('an offset that is too large');
      for (let from = size - offset, stop = size + matchLength; size < stop; ) content[size++] = content[from++]!;
    }
    const rest = literalCount - literalAt;
    if (size + rest > end) throw notZstd('a block that is too large');
    content.set(literals.subarray(literalAt, literalCount), size);
    this.#size = size + rest;
  }
}
