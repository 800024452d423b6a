/**
 * Sequences as zstd's greedy and lazy strategies choose them (levels 5 to 15; the source of versions 1.5.0 to 1.5.7 is the reference): a match is
 * taken if none at the next place, or the one after, is worth more.
 */
import { commonLength, viewOf } from './hash.ts';
import { FIRST_INDEX, type MatchFinder, SHORTEST } from './match-finder.ts';
import type { OffsetHistory } from './offset-history.ts';
import type { SequencePredictor } from './sequence-predictor.ts';

/** After so many literals, as a power of two, one place more is passed over each time. */
const SEARCH_STRENGTH = 8;

/** Places passed over at once beyond which those between are not entered any more, from version 1.5.5 on. */
const SKIPPING_STEP = 8;

export interface LazyOptions {
  /** How many places further a better match is looked for: 0 to 2. */
  readonly depth: number;
  readonly windowSize: number;
  /** Whether places that are passed over fast are left out, from version 1.5.5 on. */
  readonly skips: boolean;
}

export class LazyPredictor implements SequencePredictor {
  literalLength = 0;
  matchLength = 0;
  offset = 0;
  readonly #finder: MatchFinder;
  readonly #depth: number;
  readonly #windowSize: number;
  readonly #skips: boolean;
  #bytes: Uint8Array = new Uint8Array(0);
  #content = viewOf(this.#bytes);
  #at = 0;
  /** Where the literals begin that the next sequence has. */
  #anchor = 0;
  #end = 0;
  /** Where looking for matches ends. */
  #limit = 0;
  /** No match begins before. */
  #lowest = FIRST_INDEX;
  #maxRepeat = 0;
  #first = 0;
  #second = 0;
  #isBehindMatch = false;

  constructor(finder: MatchFinder, { depth, windowSize, skips }: LazyOptions) {
    this.#finder = finder;
    this.#depth = depth;
    this.#windowSize = windowSize;
    this.#skips = skips;
  }

  load(bytes: Uint8Array, end: number): void {
    this.#finder.load(bytes, end);
  }

  startBlock(bytes: Uint8Array, start: number, end: number, offsets: OffsetHistory): void {
    this.#finder.startBlock(bytes, start, end);
    this.#finder.isSkipping = false;
    this.#bytes = bytes;
    this.#content = viewOf(bytes);
    this.#anchor = start;
    this.#end = end;
    this.#limit = end - this.#finder.margin;
    this.#lowest = Math.max(FIRST_INDEX, start - this.#windowSize);
    this.#at = start === this.#lowest ? start + 1 : start;
    this.#maxRepeat = this.#at - Math.max(this.#lowest, this.#at - this.#windowSize);
    this.#isBehindMatch = false;
    this.#takeOffsets(offsets);
  }

  correct(end: number, offsets: OffsetHistory): void {
    this.#at = end;
    this.#anchor = end;
    this.#isBehindMatch = true;
    this.#finder.isSkipping = false;
    this.#takeOffsets(offsets);
  }

  move(by: number): void {
    this.#finder.move(by);
  }

  next(): boolean {
    if (this.#isBehindMatch && this.#repeatsSecond()) return true;
    this.#isBehindMatch = false;
    const content = this.#content;
    const end = this.#end;
    const limit = this.#limit;
    const finder = this.#finder;
    const first = this.#first;
    let at = this.#at;
    while (at < limit) {
      let length = 0;
      let offset = 1;
      let start = at + 1;
      if (first > 0 && content.getInt32(at + 1 - first, true) === content.getInt32(at + 1, true)) {
        length = commonLength(content, at + 1, at + 1 - first, end);
        if (this.#depth === 0) return this.#take(start, length, offset);
      }
      const found = this.#find(at);
      if (found > length) {
        length = found;
        start = at;
        offset = finder.offset + 3;
      }
      if (length < SHORTEST) {
        const step = ((at - this.#anchor) >> SEARCH_STRENGTH) + 1;
        at += step;
        finder.isSkipping = this.#skips && step > SKIPPING_STEP;
        continue;
      }
      for (let depth = 1; depth <= this.#depth && at < limit; depth++) {
        at++;
        if (first > 0 && content.getInt32(at, true) === content.getInt32(at - first, true)) {
          const repeated = commonLength(content, at, at - first, end);
          const factor = depth === 1 ? 3 : 4;
          if (repeated * factor > length * factor - log2(offset) + 1) {
            length = repeated;
            offset = 1;
            start = at;
          }
        }
        const better = this.#find(at);
        if (better < SHORTEST) continue;
        const value = finder.offset + 3;
        if (better * 4 - log2(value) <= length * 4 - log2(offset) + (depth === 1 ? 4 : 7)) continue;
        length = better;
        offset = value;
        start = at;
        depth = 0;
      }
      return this.#take(start, length, offset);
    }
    return false;
  }

  #find(at: number): number {
    return this.#finder.find(at, Math.max(this.#lowest, at - this.#windowSize));
  }

  /** Takes a match, which may begin earlier where the bytes before are the same too. */
  #take(from: number, found: number, offset: number): boolean {
    const bytes = this.#bytes;
    let start = from;
    let length = found;
    if (offset > 3) {
      const distance = offset - 3;
      while (
        start > this.#anchor &&
        start - distance > this.#lowest &&
        bytes[start - 1] === bytes[start - distance - 1]
      ) {
        start--;
        length++;
      }
      this.#second = this.#first;
      this.#first = distance;
    }
    return this.#store(start - this.#anchor, length, offset);
  }

  /** A match by the offset before the last one, right behind a match. */
  #repeatsSecond(): boolean {
    const content = this.#content;
    const at = this.#at;
    const second = this.#second;
    if (at > this.#limit || second === 0 || content.getInt32(at, true) !== content.getInt32(at - second, true))
      return false;
    this.#second = this.#first;
    this.#first = second;
    return this.#store(0, commonLength(content, at, at - second, this.#end), 1);
  }

  #store(literalLength: number, matchLength: number, offset: number): boolean {
    this.literalLength = literalLength;
    this.matchLength = matchLength;
    this.offset = offset;
    this.#anchor += literalLength + matchLength;
    this.#at = this.#anchor;
    this.#isBehindMatch = true;
    this.#finder.isSkipping = false;
    return true;
  }

  /** Offsets that reach before the window are not repeated. */
  #takeOffsets({ first, second }: OffsetHistory): void {
    this.#first = first > 0 && first <= this.#maxRepeat ? first : 0;
    this.#second = second > 0 && second <= this.#maxRepeat ? second : 0;
  }
}

function log2(number: number): number {
  return 31 - Math.clz32(number);
}
