/**
 * Codes spans of content: what an encoder cuts into sequences at once, then into one or more blocks. The sequences are foretold one by one;
 * where one is otherwise, the emulation goes on from the true one.
 */
import { damagedDelta } from '../../damage.ts';
import { BLOCK_HEADER_BYTES, BLOCK_ROOM, BlockWriter, writeBlockHeader } from './block-writer.ts';
import { codeForm } from './code-form.ts';
import { type DecisionModels, FLAGS } from './decision-models.ts';
import { type Block, type Frame, Sequences, type ZstdFile } from './decisions.ts';
import { BLOCK_COMPRESSED, BLOCK_RAW, BLOCK_RLE, MIN_MATCH } from './format.ts';
import { commonLength, viewOf } from './hash.ts';
import { FIRST_INDEX } from './match-finder.ts';
import { OffsetHistory } from './offset-history.ts';
import { predictorFor } from './predictors.ts';
import type { SequencePredictor } from './sequence-predictor.ts';
import type { Settings } from './settings.ts';

/** Smaller spans are not looked at by the encoder. */
const LEAST_SPAN = 7;

/** After so many sequences of a span that are not as foretold, and an eighth of all, the emulation is of another encoder: it costs time only. */
const TOLERATED_MISSES = 64;
const TOLERATED_SHARE = 8;

/** Bytes of a span that are compared at most, in relation to its size. */
const COMPARED_TIMES = 64;

/** What came of the last predictions, one bit each, is a context. */
const RECENT_MASK = 15;
const FORETOLD_END = 16;

export class SpanCoder {
  readonly #models: DecisionModels;
  readonly #settings: Settings;
  readonly #emit: (bytes: Uint8Array) => void;
  readonly #file: ZstdFile | undefined;
  readonly #predictor: SequencePredictor;
  readonly #writer = new BlockWriter();
  readonly #out = new Uint8Array(BLOCK_ROOM);
  /** Those of one block. */
  readonly #sequences = new Sequences();
  /** Offsets as a decoder has them, and as the encoder has, who begins anew in each section. */
  readonly #offsets = new OffsetHistory();
  readonly #known = new OffsetHistory();
  #blocks: readonly Block[] | undefined;
  #blockIndex = 0;
  #isForetold = false;
  #spanMissed = 0;
  #spanSequences = 0;
  /** Bytes that are still compared to find how long matches can be. */
  #compared = 0;
  #recent = 0;
  #kind = BLOCK_COMPRESSED;
  #bytes: Uint8Array = new Uint8Array(0);
  #content = viewOf(this.#bytes);
  /** Sequences that were not as foretold. */
  missed = 0;

  constructor(
    models: DecisionModels,
    settings: Settings,
    emit: (bytes: Uint8Array) => void,
    file: ZstdFile | undefined,
  ) {
    this.#models = models;
    this.#settings = settings;
    this.#emit = emit;
    this.#file = file;
    this.#predictor = predictorFor(settings);
  }

  startFrame(bytes: Uint8Array, at: number, frame: Frame | undefined): void {
    this.#offsets.reset();
    this.#known.reset();
    this.#writer.startFrame();
    this.#predictor.load(bytes, at);
    this.#blocks = frame?.blocks;
    this.#blockIndex = 0;
  }

  /** The encoder begins anew: it knows content up to `at`. */
  startSection(bytes: Uint8Array, at: number): void {
    this.#known.forget();
    this.#writer.startSection();
    this.#predictor.load(bytes, at);
  }

  move(by: number): void {
    this.#predictor.move(by);
  }

  /**
   * Codes the span from `start` on: `expected` bytes, or another number up to `most`, all that there is of the frame.
   * @returns how long it is and whether the frame ends with it.
   */
  code(bytes: Uint8Array, start: number, most: number, expected: number): { size: number; isLast: boolean } {
    const models = this.#models;
    let size = expected;
    const truth = this.#blocks && spanSize(this.#blocks, this.#blockIndex, expected);
    if (models.flag(FLAGS.span, 0, truth !== undefined && truth !== expected)) {
      size = models.number(models.sizes, truth ?? 0);
      if (size > most) throw damagedDelta('blocks of a zstd frame are too long');
    }
    this.#bytes = bytes;
    this.#content = viewOf(bytes);
    const end = start + size;
    this.#isForetold = size >= LEAST_SPAN;
    this.#spanMissed = 0;
    this.#spanSequences = 0;
    this.#compared = COMPARED_TIMES * size;
    if (this.#isForetold) this.#predictor.startBlock(bytes, start, end, this.#known);
    let at = start;
    for (let isFirst = true; at < end || isFirst; isFirst = false) {
      const block = this.#blocks?.[this.#blockIndex++];
      const isWhole = isFirst ? 1 : 0;
      let blockEnd = end;
      if (models.flag(FLAGS.part, isWhole, block !== undefined && at + block.size !== end)) {
        blockEnd = at + models.number(models.sizes, block?.size ?? 0);
        if (blockEnd > end) throw damagedDelta('blocks of a zstd frame are too long');
      }
      const isEnd = blockEnd === end && size === most;
      const isLast = models.flag(
        FLAGS.last,
        Number(isEnd),
        block !== undefined && this.#blockIndex === this.#blocks!.length,
      );
      this.#block(at, blockEnd, end, block, isLast);
      at = blockEnd;
      if (isLast) return { size: at - start, isLast };
    }
    return { size, isLast: false };
  }

  #block(start: number, end: number, spanEnd: number, block: Block | undefined, isLast: boolean): void {
    this.#kind = this.#models.kind(this.#kind, block?.kind ?? 0);
    if (this.#kind === BLOCK_COMPRESSED) {
      this.#cut(start, end, spanEnd, block);
      const { count } = this.#sequences;
      this.#writer.take(this.#bytes, start, end, this.#sequences, 0, count);
      const form = codeForm(this.#models, this.#writer, this.#settings, count, block?.form);
      const length = this.#writer.write(this.#out, 0, form, this.#sequences, 0, isLast);
      this.#emit(this.#out.subarray(0, length));
      return;
    }
    if (this.#kind !== BLOCK_RAW && this.#kind !== BLOCK_RLE)
      throw damagedDelta('a block of a zstd frame is of a kind that there is not');
    if (this.#isForetold) this.#pass(start, end, spanEnd);
    writeBlockHeader(this.#out, 0, this.#kind, end - start, isLast);
    const shown = this.#kind === BLOCK_RLE ? 1 : end - start;
    this.#out.set(this.#bytes.subarray(start, start + shown), BLOCK_HEADER_BYTES);
    this.#emit(this.#out.subarray(0, BLOCK_HEADER_BYTES + shown));
  }

  /** The encoder's tables go through a block of which the sequences are not seen. */
  #pass(start: number, end: number, spanEnd: number): void {
    const predictor = this.#predictor;
    let at = start;
    while (at < end && predictor.next()) at += predictor.literalLength + predictor.matchLength;
    if (end < spanEnd && at !== end) predictor.correct(end, this.#known, 0, 0, 0);
  }

  /** Codes the sequences of a block. */
  #cut(start: number, end: number, spanEnd: number, block: Block | undefined): void {
    const models = this.#models;
    const predictor = this.#predictor;
    const sequences = this.#sequences;
    const truth = this.#file?.sequences;
    const first = block?.firstSequence ?? 0;
    const count = block?.sequenceCount ?? 0;
    sequences.count = 0;
    let at = start;
    let isMissed = false;
    // Where less than a match is left, the block ends.
    while (end - at >= MIN_MATCH) {
      const fits = this.#isForetold && predictor.next() && at + predictor.literalLength + predictor.matchLength <= end;
      const here = first + sequences.count;
      const isEnd = sequences.count === count;
      const isHit =
        truth === undefined ||
        (fits
          ? !isEnd &&
            predictor.literalLength === truth.literalLengths[here] &&
            predictor.matchLength === truth.matchLengths[here] &&
            predictor.offset === truth.offsets[here]
          : isEnd);
      const context = (this.#recent & RECENT_MASK) | (fits ? 0 : FORETOLD_END);
      isMissed = models.flag(FLAGS.miss, context, !isHit);
      this.#recent = (this.#recent << 1) | Number(isMissed);
      this.#spanSequences++;
      if (!isMissed) {
        if (!fits) break;
        sequences.push(predictor.literalLength, predictor.matchLength, predictor.offset);
        this.#known.take(predictor.offset, predictor.literalLength);
        this.#offsets.take(predictor.offset, predictor.literalLength);
        at += predictor.literalLength + predictor.matchLength;
        continue;
      }
      this.#miss();
      if (fits && models.flag(FLAGS.end, 0, isEnd)) break;
      isMissed = false;
      at += this.#correct(at, end, fits, here);
      const last = sequences.count - 1;
      if (this.#isForetold)
        predictor.correct(
          at,
          this.#known,
          sequences.literalLengths[last]!,
          sequences.matchLengths[last]!,
          sequences.offsets[last]!,
        );
    }
    const isCut = end < spanEnd && at !== end;
    if (this.#isForetold && (isCut || isMissed)) predictor.correct(end, this.#known, 0, 0, 0);
  }

  #miss(): void {
    this.missed++;
    const tolerated = TOLERATED_MISSES + Math.floor(this.#spanSequences / TOLERATED_SHARE);
    if (++this.#spanMissed > tolerated) this.#isForetold = false;
  }

  /** Codes a sequence that is not as foretold. @returns how many bytes it covers. */
  #correct(start: number, end: number, isForetold: boolean, here: number): number {
    const models = this.#models;
    const { literalLength: foretoldLiterals, offset: foretoldOffset } = this.#predictor;
    const truth = this.#file?.sequences;
    const context = isForetold ? 1 + Math.min(foretoldLiterals, 30) : 0;
    let literalLength = truth?.literalLengths[here] ?? 0;
    if (!isForetold || models.flag(FLAGS.literalLength, 0, literalLength !== foretoldLiterals)) {
      models.literalLengths.setContexts(0, context, this.#recent & RECENT_MASK, 0);
      literalLength = models.number(models.literalLengths, literalLength);
    } else literalLength = foretoldLiterals;
    let offset = truth?.offsets[here] ?? 0;
    const isSamePlace = isForetold && literalLength === foretoldLiterals;
    if (!isForetold || models.flag(FLAGS.offset, Number(isSamePlace), offset !== foretoldOffset)) {
      models.offsets.setContexts(0, Math.min(literalLength, 7), 32 - Math.clz32(foretoldOffset), 0);
      offset = models.number(models.offsets, Math.max(0, offset - 1)) + 1;
    } else offset = foretoldOffset;
    if (literalLength > end - start - MIN_MATCH) throw damagedDelta('a sequence of a zstd frame is too long');
    const at = start + literalLength;
    const distance = this.#offsets.take(offset, literalLength);
    this.#known.take(offset, literalLength);
    if (distance < 1 || distance > at - FIRST_INDEX) throw damagedDelta('an offset of a zstd frame is too large');
    const matchLength = this.#matchLength(at, distance, end, isSamePlace, truth?.matchLengths[here] ?? 0);
    this.#sequences.push(literalLength, matchLength, offset);
    return literalLength + matchLength;
  }

  /** Codes how long a match is. @throws OsupdError `damaged-delta` */
  #matchLength(at: number, distance: number, end: number, isSamePlace: boolean, truth: number): number {
    const models = this.#models;
    // Content that repeats itself could be compared for ever.
    const longest = this.#compared < 0 ? 0 : commonLength(this.#content, at, at - distance, end);
    this.#compared -= longest;
    // Most matches are as long as can be.
    let length = longest;
    if (longest === 0 || models.flag(FLAGS.matchLength, Number(isSamePlace), truth !== longest)) {
      models.matchLengths.setContexts(0, Math.min(longest, 63), Number(isSamePlace), 0);
      length = models.number(models.matchLengths, longest === 0 ? truth : longest - truth);
      if (longest > 0) length = longest - length;
    }
    if (length < MIN_MATCH || length > end - at) throw damagedDelta('a match of a zstd frame is too long');
    return length;
  }
}

/** Blocks from `index` on that come to the expected size together, or else one block. */
function spanSize(blocks: readonly Block[], index: number, expected: number): number {
  let size = 0;
  for (let at = index; at < blocks.length && size < expected; at++) size += blocks[at]!.size;
  return size === expected ? expected : (blocks[index]?.size ?? 0);
}
