/**
 * Sequences as zstd's strategy of two tables chooses them (levels 3 and 4; the source of versions 1.5.1 to 1.5.7 is the reference): a match of eight
 * bytes is better than one of few.
 */
import { commonLength, Hasher, viewOf } from './hash.ts';
import { FIRST_INDEX, moveIndexes, SHORTEST } from './match-finder.ts';
import type { OffsetHistory } from './offset-history.ts';
import type { Parameters } from './parameters.ts';
import type { SequencePredictor } from './sequence-predictor.ts';

/** Bytes before the end of a block where matches are not looked for; those of a long match. */
const MARGIN = 8;
const LONG = 8;

/** Places after which the distance of places grows by one. */
const STEP_GROWTH = 256;
const LOADED_STEP = 3;

export class DoubleFastPredictor implements SequencePredictor {
  literalLength = 0;
  matchLength = 0;
  offset = 0;
  readonly #longHasher: Hasher;
  readonly #shortHasher: Hasher;
  readonly #long: Int32Array;
  readonly #short: Int32Array;
  readonly #windowSize: number;
  #bytes: Uint8Array = new Uint8Array(0);
  #content = viewOf(this.#bytes);
  #at = 0;
  #anchor = 0;
  #end = 0;
  #limit = 0;
  #lowest = FIRST_INDEX;
  #maxRepeat = 0;
  #first = 0;
  #second = 0;
  /** A match was taken that was found from a place here: places of it are still to be entered. */
  #foundAt = -1;
  #isBehindMatch = false;

  constructor({ hashLog, chainLog, minMatch, windowLog }: Parameters) {
    this.#longHasher = new Hasher(LONG, hashLog);
    this.#shortHasher = new Hasher(Math.max(4, Math.min(minMatch, 7)), chainLog);
    this.#long = new Int32Array(1 << hashLog);
    this.#short = new Int32Array(1 << chainLog);
    this.#windowSize = 2 ** windowLog;
  }

  load(bytes: Uint8Array, end: number): void {
    this.#long.fill(0);
    this.#short.fill(0);
    this.#bytes = bytes;
    this.#content = viewOf(bytes);
    for (let at = FIRST_INDEX; at + LOADED_STEP - 1 <= end - MARGIN; at += LOADED_STEP) this.#enter(at);
  }

  startBlock(bytes: Uint8Array, start: number, end: number, offsets: OffsetHistory): void {
    this.#bytes = bytes;
    this.#content = viewOf(bytes);
    this.#anchor = start;
    this.#end = end;
    this.#limit = end - MARGIN;
    this.#lowest = Math.max(FIRST_INDEX, end - this.#windowSize);
    this.#at = start === this.#lowest ? start + 1 : start;
    this.#maxRepeat = this.#at - Math.max(FIRST_INDEX, start - this.#windowSize, this.#at - this.#windowSize);
    this.#isBehindMatch = false;
    this.#foundAt = -1;
    this.#takeOffsets(offsets);
  }

  correct(end: number, offsets: OffsetHistory): void {
    this.#at = end;
    this.#anchor = end;
    this.#isBehindMatch = true;
    this.#foundAt = -1;
    this.#takeOffsets(offsets);
  }

  move(by: number): void {
    moveIndexes(this.#long, by);
    moveIndexes(this.#short, by);
  }

  next(): boolean {
    if (this.#isBehindMatch && this.#at <= this.#limit) {
      this.#enterMatch();
      if (this.#repeatsSecond()) return true;
    }
    this.#isBehindMatch = false;
    this.#foundAt = -1;
    return this.#look();
  }

  #enter(at: number): void {
    this.#short[this.#shortHasher.of(this.#content, at)] = at;
    this.#long[this.#longHasher.of(this.#content, at)] = at;
  }

  /** Enters places of the match that was taken last. */
  #enterMatch(): void {
    if (this.#foundAt < 0) return;
    const at = this.#at;
    this.#enter(this.#foundAt + 2);
    this.#long[this.#longHasher.of(this.#content, at - 2)] = at - 2;
    this.#short[this.#shortHasher.of(this.#content, at - 1)] = at - 1;
    this.#foundAt = -1;
  }

  #look(): boolean {
    const content = this.#content;
    const long = this.#long;
    const short = this.#short;
    const limit = this.#limit;
    const lowest = this.#lowest;
    const first = this.#first;
    let step = 1;
    let at = this.#at;
    let growsAt = at + STEP_GROWTH;
    let following = at + step;
    if (following > limit) return false;
    let hash = this.#longHasher.of(content, at);
    let longIndex = long[hash]!;
    do {
      const shortHash = this.#shortHasher.of(content, at);
      const shortIndex = short[shortHash]!;
      long[hash] = at;
      short[shortHash] = at;
      this.#foundAt = at;
      if (first > 0 && content.getInt32(at + 1, true) === content.getInt32(at + 1 - first, true))
        return this.#store(at + 1, commonLength(content, at + 1, at + 1 - first, this.#end), 1);
      const followingHash = this.#longHasher.of(content, following);
      if (longIndex > lowest && isSameLong(content, longIndex, at)) {
        if (step < SHORTEST) long[followingHash] = following;
        return this.#take(at, longIndex);
      }
      const followingIndex = long[followingHash]!;
      if (shortIndex > lowest && content.getInt32(shortIndex, true) === content.getInt32(at, true)) {
        if (step < SHORTEST) long[followingHash] = following;
        if (followingIndex > lowest && isSameLong(content, followingIndex, following))
          return this.#take(following, followingIndex);
        return this.#take(at, shortIndex);
      }
      if (following >= growsAt) {
        step++;
        growsAt += STEP_GROWTH;
      }
      at = following;
      following += step;
      hash = followingHash;
      longIndex = followingIndex;
    } while (following <= limit);
    return false;
  }

  /** Takes a match, and what is the same before it. */
  #take(at: number, index: number): boolean {
    const bytes = this.#bytes;
    const content = this.#content;
    const distance = at - index;
    let start = at;
    while (start > this.#anchor && start - distance > this.#lowest && bytes[start - 1] === bytes[start - distance - 1])
      start--;
    this.#second = this.#first;
    this.#first = distance;
    return this.#store(start, at - start + commonLength(content, at, index, this.#end), distance + 3);
  }

  #repeatsSecond(): boolean {
    const content = this.#content;
    const at = this.#at;
    const second = this.#second;
    if (second === 0 || content.getInt32(at, true) !== content.getInt32(at - second, true)) return false;
    this.#second = this.#first;
    this.#first = second;
    this.#enter(at);
    return this.#store(at, commonLength(content, at, at - second, this.#end), 1);
  }

  #store(start: number, matchLength: number, offset: number): boolean {
    this.literalLength = start - this.#anchor;
    this.matchLength = matchLength;
    this.offset = offset;
    this.#anchor = start + matchLength;
    this.#at = this.#anchor;
    this.#isBehindMatch = true;
    return true;
  }

  #takeOffsets({ first, second }: OffsetHistory): void {
    this.#first = first > 0 && first <= this.#maxRepeat ? first : 0;
    this.#second = second > 0 && second <= this.#maxRepeat ? second : 0;
  }
}

function isSameLong(content: DataView, a: number, b: number): boolean {
  return (
    content.getInt32(a, true) === content.getInt32(b, true) &&
    content.getInt32(a + 4, true) === content.getInt32(b + 4, true)
  );
}
