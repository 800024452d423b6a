/**
 * Says which sequences LZ4's high compression (levels 3 to 9) makes of a block: matches are looked for up to three at a time,
 * and those that overlap share the bytes between them.
 */
import { LAST_LITERALS, MATCH_FREE_BYTES, MIN_MATCH } from './block.ts';
import { ChainSearch } from './chain-search.ts';

export const LEVELS: readonly number[] = [9, 8, 7, 6, 5, 4, 3];

/** The longest match that one token byte says. */
const SHORT_MATCH = 18;

/** Shorter than this a first match is not worth its token before a longer one. */
const MIN_FIRST = 3;

export class SequencePredictor {
  /** The sequence that is predicted; a match of 0 bytes for the last literals. */
  literals = 0;
  match = 0;
  offset = 0;
  readonly #content: Uint8Array;
  readonly #search: ChainSearch;
  #steps: Generator<void>;
  #anchor = 0;

  constructor(content: Uint8Array, level: number) {
    this.#content = content;
    this.#search = new ChainSearch(content, 1 << (level - 1));
    this.#steps = this.#run(0);
  }

  /** Predicts the next sequence. */
  predict(): void {
    if (this.#steps.next().done === true) {
      this.literals = this.#content.length - this.#anchor;
      this.match = 0;
      this.offset = 0;
    }
  }

  /** Goes over a sequence after {@link predict}. */
  accept(literals: number, match: number, offset: number): void {
    const isRight = literals === this.literals && match === this.match && offset === this.offset;
    this.#anchor += literals + match;
    if (!isRight) this.#steps = this.#run(this.#anchor);
  }

  *#run(from: number): Generator<void> {
    const search = this.#search;
    const end = this.#content.length;
    const lastStart = end - MATCH_FREE_BYTES;
    const limit = end - LAST_LITERALS;
    let anchor = from;
    for (let at = from; at <= lastStart; ) {
      let length = search.find(at, at, limit, MIN_MATCH - 1);
      if (length < MIN_MATCH) {
        at++;
        continue;
      }
      let ref = search.foundAt;
      const first = { at, ref, length };
      let skippedAt = first.at;
      let skippedRef = first.ref;
      let skippedLength = first.length;
      let second = { at: 0, ref: 0, length: 0 };
      // What to do next: look for a second match, or for a third.
      let looking: 2 | 3 = 2;
      for (;;) {
        if (looking === 2) {
          const found = at + length <= lastStart ? search.find(at + length - 2, at, limit, length) : length;
          if (found === length) {
            this.#say(anchor, at, length, ref);
            yield;
            at += length;
            anchor = at;
            break;
          }
          second = { at: search.foundStart, ref: search.foundAt, length: found };
          // The first match was given up for the present one, but there is room for it before the second.
          if (skippedAt < at && second.at < at + skippedLength) {
            at = skippedAt;
            ref = skippedRef;
            length = skippedLength;
          }
          if (second.at - at < MIN_FIRST) {
            at = second.at;
            ref = second.ref;
            length = second.length;
            continue;
          }
          looking = 3;
        }
        if (second.at - at < SHORT_MATCH) moveStart(second, at, Math.min(length, SHORT_MATCH));
        const found =
          second.at + second.length <= lastStart
            ? search.find(second.at + second.length - 3, second.at, limit, second.length)
            : second.length;
        if (found === second.length) {
          if (second.at < at + length) length = second.at - at;
          this.#say(anchor, at, length, ref);
          yield;
          this.#say(at + length, second.at, second.length, second.ref);
          yield;
          at = second.at + second.length;
          anchor = at;
          break;
        }
        const third = { at: search.foundStart, ref: search.foundAt, length: found };
        if (third.at < at + length + 3) {
          // No room for the second match.
          if (third.at >= at + length) {
            if (second.at < at + length) {
              const correction = at + length - second.at;
              second.at += correction;
              second.ref += correction;
              second.length -= correction;
              if (second.length < MIN_MATCH) second = { ...third };
            }
            this.#say(anchor, at, length, ref);
            yield;
            anchor = at + length;
            at = third.at;
            ref = third.ref;
            length = third.length;
            skippedAt = second.at;
            skippedRef = second.ref;
            skippedLength = second.length;
            looking = 2;
            continue;
          }
          second = third;
          continue;
        }
        if (second.at < at + length) {
          if (second.at - at < SHORT_MATCH) {
            length = Math.min(length, SHORT_MATCH);
            const most = second.at - at + second.length - MIN_MATCH;
            if (length > most) length = most;
            const correction = length - (second.at - at);
            if (correction > 0) {
              second.at += correction;
              second.ref += correction;
              second.length -= correction;
            }
          } else length = second.at - at;
        }
        this.#say(anchor, at, length, ref);
        yield;
        anchor = at + length;
        at = second.at;
        ref = second.ref;
        length = second.length;
        second = third;
      }
    }
  }

  #say(anchor: number, at: number, length: number, ref: number): void {
    this.literals = at - anchor;
    this.match = length;
    this.offset = at - ref;
  }
}

interface Match {
  at: number;
  ref: number;
  length: number;
}

/** Gives the match before, at `at`, up to `length` bytes of the start of this one. */
function moveStart(match: Match, at: number, length: number): void {
  const most = match.at - at + match.length - MIN_MATCH;
  const correction = Math.min(length, most) - (match.at - at);
  if (correction <= 0) return;
  match.at += correction;
  match.ref += correction;
  match.length -= correction;
}
