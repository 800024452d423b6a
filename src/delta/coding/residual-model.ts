/**
 * The model of residuals. docs/formats/residual-coding.md describes it. Blocks of 1024, 256 and 64 bytes that hold no change cost one bit
 * each; in the others each word is coded.
 */
import type { ByteClasses } from '../projection/projection.ts';
import { BitModels } from './bit-models.ts';
import { hash } from './mixer.ts';
import type { BitCoder } from './range-coder.ts';
import { WordModel } from './residual-words.ts';

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

const MIDDLE_BYTES = 256;
const SMALL_BYTES = 64;
/** Slots of a context as powers of two: small records do not pay for large tables. */
const MOST_SLOT_BITS = 16;
const LEAST_SLOT_BITS = 10;

const BLOCK_LIMIT = 255;
/** The context of a block of 64 bytes is a hash of so many bits. */
const SMALL_CONTEXT_BITS = 14;

/** Tables for content of so many bytes. */
export function slotBitsFor(bytes: number, least: number, most: number): number {
  return Math.max(least, Math.min(most, 30 - Math.clz32(bytes)));
}

export class ResidualModel {
  readonly #blocks = new BitModels(1 << 5, BLOCK_LIMIT);
  readonly #middles = new BitModels(1 << 6, BLOCK_LIMIT);
  readonly #smalls = new BitModels(1 << SMALL_CONTEXT_BITS, BLOCK_LIMIT);
  readonly #words: WordModel;
  /** Flags of the last blocks. */
  #blockHistory = 0;
  #middleHistory = 0;
  #smallHistory = 0;

  /** @param bytes of the record: less than 256 KiB make do with smaller tables. */
  constructor(bytes: number) {
    const slotBits = slotBitsFor(bytes, LEAST_SLOT_BITS, MOST_SLOT_BITS);
    this.#words = new WordModel(slotBits);
  }

  /** Gives the tables' memory back; nothing can be coded afterwards. */
  free(): void {
    this.#words.free();
  }

  /** `predicted` and `actual` may be the same array: a decoder's. */
  code(coder: BitCoder, predicted: Uint8Array, actual: Uint8Array, { classes, oldAt }: ResidualContext): void {
    const { length } = predicted;
    for (let from = 0, to = 0; from < length; from = to) {
      to = Math.min(from + RESIDUAL_BLOCK_BYTES - ((from + oldAt) % RESIDUAL_BLOCK_BYTES), length);
      const changed = this.#blocks.code(coder, this.#blockHistory & 31, differ(predicted, actual, from, to));
      this.#blockHistory = (this.#blockHistory << 1) | changed;
      if (changed === 0) this.#words.skip(actual, from, to);
      else this.#codeBlock(coder, predicted, actual, from, to, classes, oldAt);
    }
  }

  #codeBlock(
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
      const changed = this.#middles.code(coder, this.#middleHistory & 63, differ(predicted, actual, from, to));
      this.#middleHistory = (this.#middleHistory << 1) | changed;
      if (changed === 0) {
        this.#words.skip(actual, from, to);
        continue;
      }
      for (let small = from, smallEnd = 0; small < to; small = smallEnd) {
        smallEnd = Math.min(small + SMALL_BYTES - ((small + oldAt) % SMALL_BYTES), to);
        if (this.#codeSmallFlag(coder, predicted, actual, small, smallEnd, classes, oldAt) === 0)
          this.#words.skip(actual, small, smallEnd);
        else this.#words.code(coder, predicted, actual, small, smallEnd, classes, oldAt);
      }
    }
  }

  #codeSmallFlag(
    coder: BitCoder,
    predicted: Uint8Array,
    actual: Uint8Array,
    from: number,
    to: number,
    classes: ByteClasses | undefined,
    oldAt: number,
  ): number {
    const kinds = classes === undefined ? 0 : classes[(oldAt + from) >>> 1]! | (classes[(oldAt + to - 1) >>> 1]! << 8);
    const history = this.#smallHistory;
    const context = hash((history & 7) | (this.#words.near << 8), kinds) >>> (32 - SMALL_CONTEXT_BITS);
    const flag = this.#smalls.code(coder, context, differ(predicted, actual, from, to));
    this.#smallHistory = (history << 1) | flag;
    return flag;
  }
}

function differ(predicted: Uint8Array, actual: Uint8Array, from: number, to: number): number {
  if (predicted === actual) return 0;
  for (let at = from; at < to; at++) if (predicted[at] !== actual[at]) return 1;
  return 0;
}
