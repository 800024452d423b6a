/** Coding of residuals: what differs between copied bytes and the bytes that they stand for. Nearly all of them are equal. */
import type { ByteClasses } from '../projection/projection.ts';
import { BitModels } from './bit-models.ts';
import { type BitCoder, RangeDecoder, RangeEncoder } from './range-coder.ts';

/** Where a copy is. */
export interface ResidualContext {
  /** Of the base; undefined where it was not projected. */
  readonly classes: ByteClasses | undefined;
  /** Offset of the first byte in the base: indexes `classes`, and says how words are aligned. */
  readonly oldAt: number;
  /** The same in the new file. */
  readonly newAt: number;
}

/** A copy may be given in slices, cut where the old offset is a multiple of this. */
export const RESIDUAL_BLOCK_BYTES = 1024;

const MIDDLE_BYTES = 64;
const SMALL_BYTES = 8;
const LIMIT = 255;

class ResidualModel {
  readonly #blocks = new BitModels(1 << 8, LIMIT);
  readonly #middles = new BitModels(1 << 8, LIMIT);
  readonly #smalls = new BitModels(1 << 12, LIMIT);
  readonly #flags = new BitModels(1 << 16, LIMIT);
  readonly #values = new BitModels(1 << 16, LIMIT);
  #block = 0;
  #middle = 0;
  #small = 0;
  #distance = 0;
  #last = 0;

  /** `predicted` and `actual` may be the same array: a decoder's. */
  code(coder: BitCoder, predicted: Uint8Array, actual: Uint8Array, { classes, oldAt }: ResidualContext): void {
    const { length } = predicted;
    const shift = oldAt % RESIDUAL_BLOCK_BYTES;
    for (let from = 0, to = 0; from < length; from = to) {
      to = Math.min(from + RESIDUAL_BLOCK_BYTES - ((from + shift) % RESIDUAL_BLOCK_BYTES), length);
      const block = this.#blocks.code(coder, this.#block & 7, differ(predicted, actual, from, to));
      this.#block = (this.#block << 1) | block;
      if (block === 0) this.#distance = 255;
      else this.#codeMiddles(coder, predicted, actual, from, to, classes, oldAt);
    }
  }

  #codeMiddles(
    coder: BitCoder,
    predicted: Uint8Array,
    actual: Uint8Array,
    start: number,
    end: number,
    classes: ByteClasses | undefined,
    oldAt: number,
  ): void {
    for (let from = start, to = 0; from < end; from = to) {
      to = Math.min(from + MIDDLE_BYTES - ((from + oldAt) % MIDDLE_BYTES), end);
      const middle = this.#middles.code(coder, this.#middle & 15, differ(predicted, actual, from, to));
      this.#middle = (this.#middle << 1) | middle;
      if (middle === 0) this.#distance = Math.min(255, this.#distance + 64);
      else this.#codeSmalls(coder, predicted, actual, from, to, classes, oldAt);
    }
  }

  #codeSmalls(
    coder: BitCoder,
    predicted: Uint8Array,
    actual: Uint8Array,
    start: number,
    end: number,
    classes: ByteClasses | undefined,
    oldAt: number,
  ): void {
    for (let from = start, to = 0; from < end; from = to) {
      to = Math.min(from + SMALL_BYTES - ((from + oldAt) % SMALL_BYTES), end);
      const small = this.#smalls.code(coder, this.#small & 255, differ(predicted, actual, from, to));
      this.#small = (this.#small << 1) | small;
      if (small === 0) {
        this.#distance = Math.min(255, this.#distance + 8);
        continue;
      }
      for (let at = from; at < to; at++) {
        const kind = classOf(classes, oldAt + at);
        const near = Math.min(this.#distance, 15);
        const old = predicted[at]!;
        const flag = this.#flags.code(coder, (kind << 12) | (near << 8) | old, old === actual[at] ? 0 : 1);
        if (flag === 0) {
          this.#distance = Math.min(255, this.#distance + 1);
          continue;
        }
        const residual = this.#values.codeTree(coder, (near < 4 ? this.#last : 0) << 8, 8, (actual[at]! - old) & 255);
        actual[at] = old + residual;
        this.#last = residual;
        this.#distance = 0;
      }
    }
  }
}

function differ(predicted: Uint8Array, actual: Uint8Array, from: number, to: number): number {
  if (predicted === actual) return 0;
  for (let at = from; at < to; at++) if (predicted[at] !== actual[at]) return 1;
  return 0;
}

function classOf(classes: ByteClasses | undefined, at: number): number {
  return classes === undefined ? 0 : (classes[at >>> 1]! >>> ((at & 1) << 2)) & 15;
}

export class ResidualEncoder {
  readonly #coder = new RangeEncoder();
  readonly #model = new ResidualModel();

  /** One copy, or a slice of it: see {@link RESIDUAL_BLOCK_BYTES}. */
  add(predicted: Uint8Array, actual: Uint8Array, at: ResidualContext): void {
    this.#model.code(this.#coder, predicted, actual, at);
  }

  finish(): Uint8Array {
    return this.#coder.finish();
  }
}

export class ResidualDecoder {
  readonly #coder: RangeDecoder;
  readonly #model = new ResidualModel();

  /** @throws OsupdError `damaged-delta` */
  constructor(stored: Uint8Array) {
    this.#coder = new RangeDecoder(stored, 'residuals');
  }

  /** Bytes that what was decoded so far takes, with parts of bytes. */
  get position(): number {
    return this.#coder.position;
  }

  /**
   * Turns the predicted bytes of a copy, or a slice of it, into the actual ones, in place.
   * @throws OsupdError `damaged-delta`
   */
  next(bytes: Uint8Array, at: ResidualContext): void {
    this.#model.code(this.#coder, bytes, bytes, at);
  }

  /** @throws OsupdError `damaged-delta` when this is not the end of the stored bytes. */
  finish(): void {
    this.#coder.finish();
  }
}
