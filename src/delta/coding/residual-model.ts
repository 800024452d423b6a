/**
 * The model of residuals. docs/formats/residual-coding.md describes it. Blocks of 1024, 256 and 64 bytes that hold no change cost one bit
 * each; in the others each aligned word of 32 bits is said to be changed or not, and of a changed one each byte, and the changes.
 */
import type { ByteClasses } from '../projection/projection.ts';
import { BitModels } from './bit-models.ts';
import { hash, Mixer } from './mixer.ts';
import type { BitCoder } from './range-coder.ts';

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
const WORD_BYTES = 4;

/** Slots of a context as powers of two: small records do not pay for large tables. */
const MOST_SLOT_BITS = 16;
const LEAST_SLOT_BITS = 10;

/** From this size on, a record has the largest tables. */
const LARGE_RECORD_BYTES = 1 << (MOST_SLOT_BITS + 2);

/** Recent words whose changes are known. */
const RECENT = 8;

const BLOCK_LIMIT = 255;
const FLAG_LIMIT = 12;
const VALUE_LIMIT = 12;
const RATE = 6;

/** Words without a change that are counted. */
const MOST_DISTANCE = 127;

/** Tables for content of so many bytes. */
export function slotBitsFor(bytes: number, least: number, most: number): number {
  return Math.max(least, Math.min(most, 30 - Math.clz32(bytes)));
}

export class ResidualModel {
  readonly #blocks = new BitModels(1 << 6, BLOCK_LIMIT);
  readonly #middles = new BitModels(1 << 6, BLOCK_LIMIT);
  readonly #smalls: Mixer;
  readonly #words: Mixer;
  readonly #bytes: Mixer;
  readonly #values: Mixer;
  /** What old words became where they were seen last. */
  readonly #knownOld: Int32Array;
  readonly #knownNew: Int32Array;
  readonly #knownShift: number;
  /** Changes of the last words, in a ring. */
  readonly #recent = new Int32Array(RECENT);
  #recentAt = 0;
  /** The last four old and new bytes, the last one highest. */
  #oldBytes = 0;
  #newBytes = 0;
  /** Flags of the last blocks and words. */
  #blockHistory = 0;
  #middleHistory = 0;
  #smallHistory = 0;
  #wordHistory = 0;
  /** Words since the last change. */
  #distance = 0;
  #lastChange = 0;
  /** Of the word that is coded: what it became where it was seen last, if it was. */
  #foretold = 0;
  #isForetold = false;

  /** @param bytes of the record: less than a MiB make do with smaller tables. */
  constructor(bytes: number = LARGE_RECORD_BYTES) {
    const slotBits = slotBitsFor(bytes, LEAST_SLOT_BITS, MOST_SLOT_BITS);
    this.#smalls = new Mixer({ slotBits: slotBits - 2, sets: 16, corrections: 256, limit: FLAG_LIMIT, rate: RATE });
    this.#words = new Mixer({ slotBits, sets: 64, corrections: 256, limit: FLAG_LIMIT, rate: RATE });
    this.#bytes = new Mixer({ slotBits, sets: 16, corrections: 1024, limit: FLAG_LIMIT, rate: RATE });
    this.#values = new Mixer({ slotBits, sets: 32, corrections: 768, limit: VALUE_LIMIT, rate: RATE });
    this.#knownOld = new Int32Array(1 << slotBits);
    this.#knownNew = new Int32Array(1 << slotBits);
    this.#knownShift = 32 - slotBits;
  }

  /** `predicted` and `actual` may be the same array: a decoder's. */
  code(coder: BitCoder, predicted: Uint8Array, actual: Uint8Array, { classes, oldAt }: ResidualContext): void {
    const { length } = predicted;
    for (let from = 0, to = 0; from < length; from = to) {
      to = Math.min(from + RESIDUAL_BLOCK_BYTES - ((from + oldAt) % RESIDUAL_BLOCK_BYTES), length);
      const changed = this.#blocks.code(coder, this.#blockHistory & 31, differ(predicted, actual, from, to));
      this.#blockHistory = (this.#blockHistory << 1) | changed;
      if (changed === 0) this.#skip(actual, from, to);
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
        this.#skip(actual, from, to);
        continue;
      }
      for (let small = from, smallEnd = 0; small < to; small = smallEnd) {
        smallEnd = Math.min(small + SMALL_BYTES - ((small + oldAt) % SMALL_BYTES), to);
        if (this.#codeSmallFlag(coder, predicted, actual, small, smallEnd, classes, oldAt) === 0)
          this.#skip(actual, small, smallEnd);
        else this.#codeWords(coder, predicted, actual, small, smallEnd, classes, oldAt);
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
    const expected = this.#expectedChanges(predicted, from + (-(from + oldAt) & (WORD_BYTES - 1)), to);
    const kinds = classes === undefined ? 0 : classes[(oldAt + from) >>> 1]! | (classes[(oldAt + to - 1) >>> 1]! << 8);
    const history = this.#smallHistory;
    const smalls = this.#smalls;
    smalls.c0 = hash(history & 255, expected);
    smalls.c1 = hash((history & 3) | (kinds << 8), expected + 1000);
    smalls.c2 = hash(history & 0xfff, kinds + 5000);
    smalls.c3 = hash(this.#distance, 6000 + expected);
    smalls.c4 = hash(this.#oldBytes, 7000);
    smalls.c5 = hash(to - from, 8000 + expected);
    smalls.pick();
    const flag = smalls.code(
      coder,
      0,
      (expected << 2) | (history & 3),
      (expected << 6) | (history & 63),
      differ(predicted, actual, from, to),
    );
    this.#smallHistory = (history << 1) | flag;
    return flag;
  }

  /** Words that became others where they were seen last: 3 for more. */
  #expectedChanges(predicted: Uint8Array, first: number, to: number): number {
    const knownOld = this.#knownOld;
    const knownNew = this.#knownNew;
    const shift = this.#knownShift;
    let count = 0;
    for (let at = first; at + WORD_BYTES <= to; at += WORD_BYTES) {
      const word = predicted[at]! | (predicted[at + 1]! << 8) | (predicted[at + 2]! << 16) | (predicted[at + 3]! << 24);
      const known = Math.imul(word, 0x9e3779b1) >>> shift;
      if (knownOld[known] === word && knownNew[known] !== word && ++count === 3) break;
    }
    return count;
  }

  #codeWords(
    coder: BitCoder,
    predicted: Uint8Array,
    actual: Uint8Array,
    start: number,
    end: number,
    classes: ByteClasses | undefined,
    oldAt: number,
  ): void {
    const words = this.#words;
    const recent = this.#recent;
    for (let from = start, to = 0; from < end; from = to) {
      const place = (from + oldAt) & (WORD_BYTES - 1);
      to = Math.min(from + WORD_BYTES - place, end);
      const isWhole = to - from === WORD_BYTES;
      let word = 0;
      for (let at = to - 1; at >= from; at--) word = (word << 8) | predicted[at]!;
      if (!isWhole) word = hash(word, to - from);
      const known = Math.imul(word, 0x9e3779b1) >>> this.#knownShift;
      const isKnown = this.#knownOld[known] === word && isWhole;
      const expected = isKnown ? this.#knownNew[known]! : word;
      const expectation = isKnown ? (expected === word ? 1 : 2) : 0;
      const kinds =
        classes === undefined ? 0 : classes[(oldAt + from) >>> 1]! | (classes[(oldAt + to - 1) >>> 1]! << 8);
      const near = Math.min(31 - Math.clz32(this.#distance + 1), 7);
      const history = this.#wordHistory;
      const recentAt = this.#recentAt;
      const before = recent[(recentAt - 1) & (RECENT - 1)]!;
      const sixBefore = recent[(recentAt - 6) & (RECENT - 1)]!;
      words.c0 = hash(word, expectation + 1);
      words.c1 = hash(word, hash(this.#oldBytes, 2));
      words.c2 = hash(near | (expectation << 4), hash(kinds, 3));
      words.c3 = hash(history & 0xfff, 4 + (expectation << 8));
      words.c4 = hash(hash(before, 5), expectation ^ hash(sixBefore, 9));
      words.c5 = hash(this.#oldBytes >>> 8, hash(word & 255, 8));
      words.pick();
      const changed = words.code(
        coder,
        0,
        (expectation << 4) | (near << 1) | (classes === undefined ? 0 : 1),
        (expectation << 6) | (history & 63),
        differ(predicted, actual, from, to),
      );
      this.#wordHistory = (history << 1) | changed;
      let change = 0;
      let next = word;
      if (changed === 0) {
        if (this.#distance < MOST_DISTANCE) this.#distance++;
        for (let at = from; at < to; at++) this.#remember(actual[at]!, actual[at]!);
      } else {
        this.#distance = 0;
        this.#foretold = isKnown ? expected : word;
        this.#isForetold = isKnown;
        change = this.#codeBytes(coder, predicted, actual, from, to, word, classes, oldAt);
        next = 0;
        for (let at = to - 1; at >= from; at--) next = (next << 8) | actual[at]!;
        this.#lastChange = change;
      }
      recent[recentAt & (RECENT - 1)] = change;
      this.#recentAt = recentAt + 1;
      if (isWhole) {
        this.#knownOld[known] = word;
        this.#knownNew[known] = next;
      }
    }
  }

  /** The bytes of a word in which something changed; gives the change of each, the first lowest. */
  #codeBytes(
    coder: BitCoder,
    predicted: Uint8Array,
    actual: Uint8Array,
    from: number,
    to: number,
    word: number,
    classes: ByteClasses | undefined,
    oldAt: number,
  ): number {
    const bytes = this.#bytes;
    const foretold = this.#foretold;
    const isForetold = this.#isForetold;
    const before = this.#recent[(this.#recentAt - 1) & (RECENT - 1)]!;
    const sixBefore = this.#recent[(this.#recentAt - 6) & (RECENT - 1)]!;
    let change = 0;
    let any = 0;
    let carry = 0;
    for (let at = from; at < to; at++) {
      const place = (at + oldAt) & (WORD_BYTES - 1);
      const old = predicted[at]!;
      const kind = classes === undefined ? 0 : (classes[(at + oldAt) >>> 1]! >>> (((at + oldAt) & 1) << 2)) & 15;
      const last = this.#oldBytes >>> 24;
      const hint = isForetold ? ((foretold >>> (place << 3)) - old) & 255 : 256;
      const soFar = hash(change, (place << 1) | carry);
      const wordSoFar = hash(word, hash(change, 10 + place));
      let changed = 1;
      if (any === 1 || at < to - 1) {
        bytes.c0 = wordSoFar;
        bytes.c1 = hash(soFar, 11 + (kind << 4));
        bytes.c2 = hash((before >>> (place << 3)) & 255, hash(place | (any << 2) | (kind << 3), 12));
        bytes.c3 = hash(old | (last << 8), hash(any, 13));
        bytes.c4 = hash(this.#lastChange, hash(soFar, 14));
        bytes.c5 = hash(hint, hash(soFar, 15));
        bytes.pick();
        const hinted = hint === 256 ? 2 : hint === 0 ? 0 : 1;
        const correction = place | (any << 2) | (carry << 3) | (kind << 4) | (hinted << 8);
        changed = bytes.code(coder, 0, (place << 2) | (any << 1) | carry, correction, old === actual[at] ? 0 : 1);
      }
      if (changed === 0) {
        carry = 0;
        this.#remember(old, old);
        continue;
      }
      any = 1;
      const values = this.#values;
      values.c0 = hash(wordSoFar, 20);
      values.c1 = hash(old, hash(this.#newBytes >>> 24, 21));
      values.c2 = hash(old, hash(kind | (place << 4), 22));
      values.c3 = hash(hint, hash(carry | (place << 1), 23));
      values.c4 = hash(sixBefore, hash(soFar, 24));
      values.c5 = hash(old, hash(kind, hash(last, 25)));
      const residual = this.#codeValue(coder, hint, (place << 1) | carry, (actual[at]! - old) & 255);
      const next = (old + residual) & 255;
      actual[at] = next;
      carry = old + residual > 255 ? 1 : 0;
      change |= residual << ((at - from) << 3);
      this.#remember(old, next);
    }
    return change;
  }

  /** A residual that is not zero. @param hint what it is foretold to be, or 256. */
  #codeValue(coder: BitCoder, hint: number, set: number, residual: number): number {
    const values = this.#values;
    let node = 1;
    values.pickBuckets(0);
    for (let shift = 7; shift >= 0; shift--) {
      // 0: nothing is foretold of this bit; 1 or 2: that it is 0 or 1.
      const bitHint = hint < 256 && (hint | 256) >>> (shift + 1) === node ? 1 + ((hint >>> shift) & 1) : 0;
      if (shift === 3) values.pickBuckets(Math.imul(node, 0x9e3779b));
      const slot = shift > 3 ? node : (node & ((1 << (3 - shift)) - 1)) | (1 << (3 - shift));
      const bit = values.code(coder, slot, (bitHint << 3) | set, (bitHint << 8) | node, (residual >>> shift) & 1);
      node = (node << 1) | bit;
    }
    return node & 255;
  }

  /** Goes over bytes without a change. */
  #skip(bytes: Uint8Array, from: number, to: number): void {
    const words = (to - from + WORD_BYTES - 1) >>> 2;
    this.#distance = Math.min(MOST_DISTANCE, this.#distance + words);
    this.#wordHistory = words > 31 ? 0 : this.#wordHistory << words;
    for (let count = Math.min(words, RECENT); count > 0; count--) this.#recent[this.#recentAt++ & (RECENT - 1)] = 0;
    for (let at = Math.max(from, to - WORD_BYTES); at < to; at++) this.#remember(bytes[at]!, bytes[at]!);
  }

  #remember(old: number, next: number): void {
    this.#oldBytes = (this.#oldBytes >>> 8) | (old << 24);
    this.#newBytes = (this.#newBytes >>> 8) | (next << 24);
  }
}

function differ(predicted: Uint8Array, actual: Uint8Array, from: number, to: number): number {
  if (predicted === actual) return 0;
  for (let at = from; at < to; at++) if (predicted[at] !== actual[at]) return 1;
  return 0;
}
