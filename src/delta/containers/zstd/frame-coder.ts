/**
 * Codes frames of content that is known: what an emulation of the encoder foretells costs nearly nothing, what is otherwise is coded. Encoder and
 * decoder run the same code; one with a truth knows the frames, one without learns them.
 */
import { damagedDelta } from '../../damage.ts';
import { ContentWindow } from './content-window.ts';
import type { DecisionModels } from './decision-models.ts';
import { FLAGS } from './decision-models.ts';
import type { Frame, ZstdFile } from './decisions.ts';
import { FRAME_MAGIC, MAX_BLOCK_BYTES, MIN_WINDOW_LOG, SKIPPABLE_MAGIC, SKIPPABLE_MAGICS } from './format.ts';
import { cycleLog } from './parameters.ts';
import type { Settings } from './settings.ts';
import { SpanCoder } from './span-coder.ts';

const SINGLE = 0x20;
const CHECKSUM = 4;
const RESERVED = 0x1b;

/** Bytes of a checksum. */
const CHECKSUM_BYTES = 4;
const MIN_UNIT_LOG = 20;
const MAX_HEADER_BYTES = 18;
const NUMBER_LIMIT = 2 ** 32 - 2;

export class FrameCoder {
  readonly #models: DecisionModels;
  readonly #settings: Settings;
  readonly #contentSize: number;
  readonly #emit: (bytes: Uint8Array) => void;
  readonly #file: ZstdFile | undefined;
  readonly #spans: SpanCoder;
  readonly #window: ContentWindow;
  #frameIndex = 0;
  #at = 0;
  #available = 0;
  #inFrame = false;
  #frameEnd = 0;
  #hasChecksum = false;
  #sectionStart = 0;
  isDone = false;

  constructor(
    models: DecisionModels,
    settings: Settings,
    contentSize: number,
    emit: (bytes: Uint8Array) => void,
    file?: ZstdFile,
  ) {
    this.#models = models;
    this.#settings = settings;
    this.#contentSize = contentSize;
    this.#emit = emit;
    this.#file = file;
    this.#spans = new SpanCoder(models, settings, emit, file);
    const { parameters, sectionSize, overlap } = settings;
    const limit = sectionSize > 0 ? Math.min(contentSize, sectionSize + overlap) : contentSize;
    const unit = 2 ** Math.max(cycleLog(parameters), parameters.windowLog, MIN_UNIT_LOG);
    this.#window = new ContentWindow(2 ** parameters.windowLog, unit, limit, 2 * MAX_BLOCK_BYTES, (by) =>
      this.#spans.move(by),
    );
  }

  /** Sequences that were not as foretold. */
  get missed(): number {
    return this.#spans.missed;
  }

  /** Takes content that follows, up to 128 KiB, and codes what can be with it. */
  append(chunk: Uint8Array): void {
    if (chunk.length > this.#contentSize - this.#available) throw damagedDelta('content of zstd frames is too long');
    this.#window.append(chunk, this.#at);
    this.#available += chunk.length;
    while (this.#step());
  }

  /** Codes one frame header or one span of blocks; false: it needs more content, or all is done. */
  #step(): boolean {
    if (this.isDone) return false;
    if (!this.#inFrame) {
      this.#frame();
      return !this.isDone;
    }
    if (this.#available - this.#at < Math.min(MAX_BLOCK_BYTES, this.#frameEnd - this.#at)) return false;
    const { sectionSize, overlap } = this.#settings;
    if (sectionSize > 0 && this.#at - this.#sectionStart >= sectionSize) {
      this.#sectionStart = this.#at;
      this.#window.restartAt(this.#at - overlap);
      this.#spans.startSection(this.#window.bytes, this.#window.indexOf(this.#at));
    }
    const sectionEnd = sectionSize > 0 ? this.#sectionStart + sectionSize : Number.POSITIVE_INFINITY;
    const most = Math.min(MAX_BLOCK_BYTES, this.#frameEnd - this.#at);
    const start = this.#window.indexOf(this.#at);
    const { size, isLast } = this.#spans.code(this.#window.bytes, start, most, Math.min(most, sectionEnd - this.#at));
    this.#at += size;
    if (!isLast) return true;
    if (this.#at !== this.#frameEnd) throw damagedDelta('a zstd frame ends before its content does');
    this.#inFrame = false;
    const frame = this.#file?.frames[this.#frameIndex++];
    if (this.#hasChecksum) this.#bytes(CHECKSUM_BYTES, frame && this.#stored(frame.end - CHECKSUM_BYTES, frame.end));
    return true;
  }

  #stored(start: number, end: number): Uint8Array {
    return this.#file!.bytes.subarray(start, end);
  }

  /** Codes bytes that nothing foretells. */
  #bytes(count: number, truth: Uint8Array | undefined): Uint8Array {
    const bytes = new Uint8Array(count);
    for (let at = 0; at < count; at++) bytes[at] = this.#models.byte(truth?.[at] ?? 0);
    this.#emit(bytes);
    return bytes;
  }

  #frame(): void {
    const models = this.#models;
    const frame = this.#file?.frames[this.#frameIndex];
    if (!models.flag(FLAGS.frame, 0, frame !== undefined)) {
      if (this.#at !== this.#contentSize) throw damagedDelta('zstd frames end before their content does');
      this.isDone = true;
      return;
    }
    const isSkippable = frame !== undefined && frame.blocks.length === 0;
    if (models.flag(FLAGS.skippable, 0, isSkippable)) this.#skippable(frame);
    else this.#header(frame);
  }

  #skippable(frame: Frame | undefined): void {
    const truth = frame && this.#stored(frame.start, frame.end);
    const magic = this.#models.byte(truth === undefined ? 0 : truth[0]! & (SKIPPABLE_MAGICS - 1));
    const size = this.#models.number(this.#models.sizes, truth === undefined ? 0 : truth.length - 8);
    const header = new Uint8Array(8);
    const view = new DataView(header.buffer);
    view.setUint32(0, SKIPPABLE_MAGIC + (magic & (SKIPPABLE_MAGICS - 1)), true);
    view.setUint32(4, size, true);
    this.#emit(header);
    for (let at = 0; at < size; ) {
      const count = Math.min(size - at, MAX_BLOCK_BYTES);
      this.#bytes(count, truth?.subarray(8 + at, 8 + at + count));
      at += count;
    }
    this.#frameIndex++;
  }

  #header(frame: Frame | undefined): void {
    const models = this.#models;
    const truth = frame && this.#stored(frame.start, frame.headerEnd);
    const descriptor = models.byte(truth?.[4] ?? 0);
    if ((descriptor & RESERVED) !== 0) throw damagedDelta('a zstd frame is of a kind that there is not');
    const left = this.#contentSize - this.#at;
    let size = left;
    if (models.flag(FLAGS.rest, 0, frame !== undefined && frame.contentSize !== left)) {
      size = models.number(models.sizes, Math.min(frame?.contentSize ?? 0, NUMBER_LIMIT));
      if (size > left) throw damagedDelta('a zstd frame has more content than there is');
    }
    const header = new Uint8Array(MAX_HEADER_BYTES);
    const view = new DataView(header.buffer);
    view.setUint32(0, FRAME_MAGIC, true);
    header[4] = descriptor;
    let at = 5;
    const isSingle = (descriptor & SINGLE) !== 0;
    if (!isSingle) {
      const foretold = (this.#settings.parameters.windowLog - MIN_WINDOW_LOG) << 3;
      const isOther = models.flag(FLAGS.window, 0, truth !== undefined && truth[5] !== foretold);
      header[at++] = isOther ? models.byte(truth?.[5] ?? 0) : foretold;
    }
    const sizeCode = descriptor >>> 6;
    const sizeBytes = sizeCode === 0 ? Number(isSingle) : 2 ** sizeCode;
    let rest = sizeBytes === 2 ? size - 256 : size;
    for (let byte = 0; byte < sizeBytes; byte++) {
      header[at++] = rest & 0xff;
      rest = Math.floor(rest / 256);
    }
    this.#emit(header.subarray(0, at));
    this.#hasChecksum = (descriptor & CHECKSUM) !== 0;
    this.#frameEnd = this.#at + size;
    this.#inFrame = true;
    this.#sectionStart = this.#at;
    this.#window.restartAt(this.#at);
    this.#spans.startFrame(this.#window.bytes, this.#window.indexOf(this.#at), frame);
  }
}
