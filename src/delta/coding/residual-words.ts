/**
 * The model of words with residuals: of each aligned word of 32 bits it says which bytes changed, and then their changes.
 * docs/formats/residual-coding.md describes it.
 */
import { freeMemory } from '../../core/bytes.ts';
import type { ByteClasses } from '../projection/projection.ts';
import { BitModels } from './bit-models.ts';
import { hash, Mixer, stepsOf } from './mixer.ts';
import type { BitCoder } from './range-coder.ts';

const WORD_BYTES = 4;

/** In place of a mask of changed bytes: the word became what it became where it was seen last. */
const FORETOLD = 16;

/** Recent words whose changes are known. */
const RECENT = 8;

/** The slot that says whether a word changed, or became what is foretold: as a node of the mask it would say that nothing did. */
const CHANGED_NODE = 8;

const MASK_STEPS = stepsOf([1.5, 2.5, 3.5, 4.5, 6, 8, 10, 13.5]);
const VALUE_STEPS = stepsOf([1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 9.5]);
/** A word that is said to have changed once in so many times, or less often, is not worth to be mixed for. */
const SURE_ODDS = 16;
/** What says so is a hash of so many bits. */
const SURE_BITS = 14;
const SURE_LIMIT = 255;
const KEPT_LIMIT = 127;
const RATE = 12;

/** What words became is remembered of so many, as a power of two. */
const MOST_KNOWN_BITS = 15;

/** Words without a change that are counted. */
const MOST_DISTANCE = 127;

export class WordModel {
  readonly #masks: Mixer;
  readonly #values: Mixer;
  /** Whether a word changed that was not known to. */
  readonly #sure = new BitModels(1 << SURE_BITS, SURE_LIMIT);
  /** Whether a word changed that was known to, and did not become the same again. */
  readonly #kept = new BitModels(8 << 4, KEPT_LIMIT);
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
  /** Flags of the last words. */
  #history = 0;
  /** Words since the last change. */
  #distance = 0;
  /** Of the word that is coded: what it became where it was seen last, if it was. */
  #foretold = 0;
  #isForetold = false;

  constructor(slotBits: number) {
    this.#masks = new Mixer({ slotBits, sets: 72, steps: MASK_STEPS, rate: RATE });
    this.#values = new Mixer({ slotBits, sets: 48, steps: VALUE_STEPS, rate: RATE });
    const knownBits = Math.min(slotBits, MOST_KNOWN_BITS);
    this.#knownOld = new Int32Array(1 << knownBits);
    this.#knownNew = new Int32Array(1 << knownBits);
    this.#knownShift = 32 - knownBits;
  }

  /** Gives the tables' memory back; nothing can be coded afterwards. */
  free(): void {
    this.#masks.free();
    this.#values.free();
    freeMemory(this.#knownOld);
    freeMemory(this.#knownNew);
  }

  /** How many words there are since the last change: 0 for none, up to 7 for all that are more than 126. */
  get near(): number {
    return Math.min(31 - Math.clz32(this.#distance + 1), 7);
  }

  /** Codes predicted[start..end): what is changed in it. */
  code(
    coder: BitCoder,
    predicted: Uint8Array,
    actual: Uint8Array,
    start: number,
    end: number,
    classes: ByteClasses | undefined,
    oldAt: number,
  ): void {
    const recent = this.#recent;
    for (let from = start, to = 0; from < end; from = to) {
      to = Math.min(from + WORD_BYTES - ((from + oldAt) & (WORD_BYTES - 1)), end);
      const isWhole = to - from === WORD_BYTES;
      let word = 0;
      for (let at = to - 1; at >= from; at--) word = (word << 8) | predicted[at]!;
      const known = Math.imul(word, 0x9e3779b1) >>> this.#knownShift;
      const isKnown = this.#knownOld[known] === word && isWhole;
      const foretold = isKnown ? this.#knownNew[known]! : word;
      const kinds =
        classes === undefined ? 0 : classes[(oldAt + from) >>> 1]! | (classes[(oldAt + to - 1) >>> 1]! << 8);
      const mask = this.#codeMask(
        coder,
        word,
        isKnown,
        foretold,
        kinds,
        to - from,
        maskOf(predicted, actual, from, to, foretold),
      );
      let change = 0;
      let next = word;
      if (mask === 0) {
        if (this.#distance < MOST_DISTANCE) this.#distance++;
        this.#rememberSame(word, to - from);
      } else if (mask === FORETOLD) {
        this.#distance = 0;
        next = foretold;
        change = this.#becomeForetold(predicted, actual, from, foretold);
      } else {
        this.#distance = 0;
        this.#foretold = foretold;
        this.#isForetold = isKnown;
        change = this.#codeBytes(coder, predicted, actual, from, to, end, mask, classes, oldAt);
        next = 0;
        for (let at = to - 1; at >= from; at--) next = (next << 8) | actual[at]!;
      }
      recent[this.#recentAt++ & (RECENT - 1)] = change;
      if (isWhole) {
        this.#knownOld[known] = word;
        this.#knownNew[known] = next;
      }
    }
  }

  /** Which bytes of a word changed: a bit for each, the first byte's lowest. FORETOLD where all of it is as foretold, and that is a change. */
  #codeMask(
    coder: BitCoder,
    word: number,
    isKnown: boolean,
    foretold: number,
    kinds: number,
    length: number,
    mask: number,
  ): number {
    const masks = this.#masks;
    const hint = isKnown ? 1 + maskOfChange(foretold ^ word) : 0;
    const trust = isKnown ? (hint === 1 ? 1 : 2) : 0;
    const near = this.near;
    const history = this.#history;
    const before = this.#recent[(this.#recentAt - 1) & (RECENT - 1)]!;
    const sixBefore = this.#recent[(this.#recentAt - 6) & (RECENT - 1)]!;
    const sure = hash(near | (trust << 4) | ((history & 7) << 8), hash(kinds, length)) >>> (32 - SURE_BITS);
    const isSure = trust < 2 && this.#sure.probability(sure) < 65536 / SURE_ODDS;
    if (isSure && this.#sure.code(coder, sure, mask === 0 ? 0 : 1) === 0) {
      this.#history = history << 1;
      return 0;
    }
    masks.c0 = hash(word, hint + 1);
    masks.c1 = hash(near | (hint << 4), hash(kinds, 3 + (length << 4)));
    masks.c2 = hash(hash(before, 5), hint ^ hash(sixBefore, 9));
    masks.c3 = hash(this.#oldBytes >>> 8, hash(word & 255, 8));
    masks.pick(0);
    if (!isSure) {
      const wanted = trust === 2 ? mask === FORETOLD : mask !== 0;
      const bit = masks.code(coder, CHANGED_NODE, (trust << 3) | near, wanted ? 1 : 0);
      let changed = bit;
      if (trust < 2) this.#sure.learn(sure, bit);
      else if (bit === 0) changed = this.#kept.code(coder, (near << 4) | (history & 15), mask === 0 ? 0 : 1);
      this.#history = (history << 1) | changed;
      if (changed === 0) return 0;
      if (bit === 1 && trust === 2) return FORETOLD;
    } else {
      this.#history = (history << 1) | 1;
    }
    let node = 1;
    for (let place = 0; place < length; place++) {
      // The last byte of a word in which no other changed.
      const isForced = place === length - 1 && node === 1 << place;
      const set = 24 + ((trust << 4) | node);
      const bit = isForced ? 1 : masks.code(coder, node, set, (mask >>> place) & 1);
      node = (node << 1) | bit;
    }
    let coded = 0;
    for (let place = length - 1; place >= 0; place--, node >>>= 1) coded |= (node & 1) << place;
    return coded;
  }

  /** A word becomes what is foretold; gives the change of each byte, the first lowest. */
  #becomeForetold(predicted: Uint8Array, actual: Uint8Array, from: number, foretold: number): number {
    let change = 0;
    for (let at = from, shift = 0; shift < 32; at++, shift += 8) {
      const old = predicted[at]!;
      const next = (foretold >>> shift) & 255;
      actual[at] = next;
      change |= ((next - old) & 255) << shift;
      this.#remember(old, next);
    }
    return change;
  }

  /** The changed bytes of a word; gives the change of each, the first lowest. @param end of what may be looked at ahead. */
  #codeBytes(
    coder: BitCoder,
    predicted: Uint8Array,
    actual: Uint8Array,
    from: number,
    to: number,
    end: number,
    mask: number,
    classes: ByteClasses | undefined,
    oldAt: number,
  ): number {
    const values = this.#values;
    const foretold = this.#foretold;
    const isForetold = this.#isForetold;
    const sixBefore = this.#recent[(this.#recentAt - 6) & (RECENT - 1)]!;
    let change = 0;
    let carry = 0;
    for (let at = from; at < to; at++) {
      const old = predicted[at]!;
      if (((mask >>> (at - from)) & 1) === 0) {
        carry = 0;
        this.#remember(old, old);
        continue;
      }
      const place = (at + oldAt) & (WORD_BYTES - 1);
      const kind = classes === undefined ? 0 : (classes[(at + oldAt) >>> 1]! >>> (((at + oldAt) & 1) << 2)) & 15;
      const hint = isForetold ? ((foretold >>> (place << 3)) - old) & 255 : 256;
      const soFar = hash(change, (place << 1) | carry | (mask << 3));
      const ahead = at + 1 < end ? predicted[at + 1]! : 0;
      values.c0 = hash(old, hash(this.#newBytes >>> 24, 21));
      values.c1 = hash(old, hash(kind | (ahead << 4), 22));
      values.c2 = hash(hint, hash(carry | (place << 1), 23));
      values.c3 = hash(sixBefore === 0 ? -1 - kind : sixBefore, hash(soFar, 24));
      const residual = this.#codeValue(coder, kind, hint, (actual[at]! - old) & 255);
      const next = (old + residual) & 255;
      actual[at] = next;
      carry = old + residual > 255 ? 1 : 0;
      change |= residual << ((at - from) << 3);
      this.#remember(old, next);
    }
    return change;
  }

  /** A residual that is not zero. @param hint what it is foretold to be, or 256. */
  #codeValue(coder: BitCoder, kind: number, hint: number, residual: number): number {
    const values = this.#values;
    let node = 1;
    values.pick(0);
    for (let shift = 7; shift >= 0; shift--) {
      // 0: nothing is foretold of this bit; 1 or 2: that it is 0 or 1.
      const bitHint = hint < 256 && (hint | 256) >>> (shift + 1) === node ? 1 + ((hint >>> shift) & 1) : 0;
      if (shift === 3) values.pick(Math.imul(node, 0x9e3779b));
      const slot = shift > 3 ? node : (node & ((1 << (3 - shift)) - 1)) | (1 << (3 - shift));
      const bit = values.code(coder, slot, (bitHint << 4) | kind, (residual >>> shift) & 1);
      node = (node << 1) | bit;
    }
    return node & 255;
  }

  /** Goes over bytes without a change. */
  skip(bytes: Uint8Array, from: number, to: number): void {
    const words = (to - from + WORD_BYTES - 1) >>> 2;
    this.#distance = Math.min(MOST_DISTANCE, this.#distance + words);
    this.#history = words > 31 ? 0 : this.#history << words;
    for (let count = Math.min(words, RECENT); count > 0; count--) this.#recent[this.#recentAt++ & (RECENT - 1)] = 0;
    for (let at = Math.max(from, to - WORD_BYTES); at < to; at++) this.#remember(bytes[at]!, bytes[at]!);
  }

  /** Goes over the bytes of a word without a change. */
  #rememberSame(word: number, length: number): void {
    if (length === WORD_BYTES) {
      this.#oldBytes = word;
      this.#newBytes = word;
      return;
    }
    for (let place = 0; place < length; place++)
      this.#remember((word >>> (place << 3)) & 255, (word >>> (place << 3)) & 255);
  }

  #remember(old: number, next: number): void {
    this.#oldBytes = (this.#oldBytes >>> 8) | (old << 24);
    this.#newBytes = (this.#newBytes >>> 8) | (next << 24);
  }
}

/** A bit for each byte that differs, the first one's lowest; FORETOLD for a whole word that became another as foretold. */
function maskOf(predicted: Uint8Array, actual: Uint8Array, from: number, to: number, foretold: number): number {
  if (predicted === actual) return 0;
  let mask = 0;
  let next = 0;
  for (let at = to - 1; at >= from; at--) {
    mask = (mask << 1) | (predicted[at] === actual[at] ? 0 : 1);
    next = (next << 8) | actual[at]!;
  }
  return mask !== 0 && next === foretold && to - from === WORD_BYTES ? FORETOLD : mask;
}

function maskOfChange(change: number): number {
  return (
    ((change & 0xff) === 0 ? 0 : 1) |
    ((change & 0xff00) === 0 ? 0 : 2) |
    ((change & 0xff0000) === 0 ? 0 : 4) |
    (change >>> 24 === 0 ? 0 : 8)
  );
}
