/**
 * Sequences as zstd's fast strategy chooses them (level 1, 2 and the negative ones; the source of versions 1.5.1 to 1.5.7 is the reference): one
 * table of hashes, places looked at in pairs, the first match that comes is taken.
 */
import { commonLength, Hasher, viewOf } from './hash.ts';
import { FIRST_INDEX, moveIndexes, SHORTEST } from './match-finder.ts';
import type { OffsetHistory } from './offset-history.ts';
import type { Parameters } from './parameters.ts';
import type { SequencePredictor } from './sequence-predictor.ts';

/** Bytes before the end of a block where matches are not looked for. */
const MARGIN = 8;

/** Places after which the distance of pairs grows by one. */
const STEP_GROWTH = 128;

/** Every third place of what is known before a section is entered. */
const LOADED_STEP = 3;

export class FastPredictor implements SequencePredictor {
  literalLength = 0;
  matchLength = 0;
  offset = 0;
  readonly #hasher: Hasher;
  readonly #table: Int32Array;
  readonly #firstStep: number;
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
  /** A match was taken that was found at a place here: what follows it is still to be entered. */
  #foundAt = -1;
  #isBehindMatch = false;

  constructor({ hashLog, minMatch, targetLength, windowLog }: Parameters) {
    this.#hasher = new Hasher(Math.max(4, Math.min(minMatch, 7)), hashLog);
    this.#table = new Int32Array(1 << hashLog);
    this.#firstStep = Math.max(targetLength, 1) + 1;
    this.#windowSize = 2 ** windowLog;
  }

  load(bytes: Uint8Array, end: number): void {
    this.#table.fill(0);
    const content = viewOf(bytes);
    for (let at = FIRST_INDEX; at + LOADED_STEP < end - MARGIN + 2; at += LOADED_STEP)
      this.#table[this.#hasher.of(content, at)] = at;
  }

  startBlock(bytes: Uint8Array, start: number, end: number, offsets: OffsetHistory): void {
    this.#bytes = bytes;
    this.#content = viewOf(bytes);
    this.#anchor = start;
    this.#end = end;
    this.#limit = end - MARGIN;
    this.#lowest = Math.max(FIRST_INDEX, start - this.#windowSize, end - this.#windowSize);
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
    moveIndexes(this.#table, by);
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

  /** Enters two places of the match that was taken last. */
  #enterMatch(): void {
    if (this.#foundAt < 0) return;
    this.#enter(this.#foundAt + 2);
    this.#enter(this.#at - 2);
    this.#foundAt = -1;
  }

  #enter(at: number): void {
    this.#table[this.#hasher.of(this.#content, at)] = at;
  }

  #look(): boolean {
    const bytes = this.#bytes;
    const content = this.#content;
    const table = this.#table;
    const hasher = this.#hasher;
    const limit = this.#limit;
    const lowest = this.#lowest;
    const first = this.#first;
    let step = this.#firstStep;
    let growsAt = this.#at + STEP_GROWTH;
    // Pairs of places: `at` and `other` right behind it; `following` is where the next pair begins.
    let at = this.#at;
    let other = at + 1;
    let following = at + step;
    let afterFollowing = following + 1;
    if (afterFollowing >= limit) return false;
    let hash = hasher.of(content, at);
    let otherHash = hasher.of(content, other);
    let index = table[hash]!;
    do {
      table[hash] = at;
      if (first > 0 && content.getInt32(following, true) === content.getInt32(following - first, true)) {
        const back = bytes[following - 1] === bytes[following - first - 1] ? 1 : 0;
        table[otherHash] = other;
        this.#foundAt = at;
        const start = following - back;
        return this.#store(start, SHORTEST + back + this.#more(following + SHORTEST, first), 1);
      }
      if (index >= lowest && content.getInt32(index, true) === content.getInt32(at, true)) {
        table[otherHash] = other;
        return this.#take(at, index);
      }
      index = table[otherHash]!;
      hash = otherHash;
      otherHash = hasher.of(content, following);
      at = other;
      other = following;
      following = afterFollowing;
      table[hash] = at;
      if (index >= lowest && content.getInt32(index, true) === content.getInt32(at, true)) {
        if (step <= SHORTEST) table[otherHash] = other;
        return this.#take(at, index);
      }
      index = table[otherHash]!;
      hash = otherHash;
      otherHash = hasher.of(content, following);
      at = other;
      other = following;
      following = at + step;
      afterFollowing = other + step;
      if (following >= growsAt) {
        step++;
        growsAt += STEP_GROWTH;
      }
    } while (afterFollowing < limit);
    return false;
  }

  #more(at: number, distance: number): number {
    return commonLength(this.#content, at, at - distance, this.#end);
  }

  /** Takes a match of four bytes or more at a place, and what is the same before it. */
  #take(at: number, index: number): boolean {
    const bytes = this.#bytes;
    const distance = at - index;
    let start = at;
    while (start > this.#anchor && start - distance > this.#lowest && bytes[start - 1] === bytes[start - distance - 1])
      start--;
    this.#foundAt = at;
    this.#second = this.#first;
    this.#first = distance;
    return this.#store(start, at - start + SHORTEST + this.#more(at + SHORTEST, distance), distance + 3);
  }

  #repeatsSecond(): boolean {
    const content = this.#content;
    const at = this.#at;
    const second = this.#second;
    if (second === 0 || content.getInt32(at, true) !== content.getInt32(at - second, true)) return false;
    this.#second = this.#first;
    this.#first = second;
    this.#enter(at);
    return this.#store(at, SHORTEST + this.#more(at + SHORTEST, second), 1);
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
