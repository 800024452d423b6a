/**
 * Says which token a compressor of the zlib family writes next, given the content and the tokens so far. Where the true
 * stream went another way, it goes on from there.
 */
import { isTooFar, LOOK_AHEAD, MatchSearch, NO_MATCH } from './match-search.ts';
import { type Effort, effortOf, type Settings } from './settings.ts';
import { LITERAL, MIN_MATCH, type Token, tokenLength, WINDOW_BYTES } from './symbols.ts';

export class TokenPredictor {
  readonly #search: MatchSearch;
  readonly #effort: Effort;
  #position = 0;
  /** What was found at this position while the one before was decided; undefined when nothing was looked for. */
  #ahead: Token | undefined;
  #predicted: Token = LITERAL;
  #nextAhead: Token | undefined;

  /** Behind this position nothing is looked for. */
  #searchEnd = Number.POSITIVE_INFINITY;
  /** From here on, gzip finds that there is no more input. */
  readonly #inputEnd: number;

  constructor(content: Uint8Array, settings: Settings) {
    this.#inputEnd = settings.isGzip ? content.length - LOOK_AHEAD : Number.POSITIVE_INFINITY;
    this.#search = new MatchSearch(content, settings.hashBits);
    this.#effort = effortOf(settings);
  }

  /** The token at the present position. */
  predict(): Token {
    this.#nextAhead = undefined;
    this.#predicted = this.#effort.isLazy ? this.#predictLazy() : this.#find(this.#position, NO_MATCH);
    if (tokenLength(this.#predicted) < MIN_MATCH) this.#predicted = LITERAL;
    return this.#predicted;
  }

  /** Goes over a token; after {@link predict} at its position. */
  accept(token: Token): void {
    const end = this.#position + tokenLength(token);
    this.#ahead = token === this.#predicted ? this.#nextAhead : undefined;
    const quick = !this.#effort.isLazy && token !== LITERAL && tokenLength(token) > this.#effort.lazy;
    if (quick) {
      this.#search.note(this.#position + 1);
      this.#search.leaveOut(end);
    } else this.#search.note(end);
    this.#moveTo(end);
  }

  /** Goes over content that has no tokens. */
  skip(length: number): void {
    this.#moveTo(this.#position + length);
    this.#search.note(this.#position);
    this.#ahead = undefined;
  }

  /**
   * gzip's buffer is two windows long, and moves on by one when only the look ahead is left and there is input. At the end of
   * the input it stays, and what lies in the place of the look ahead is not searched.
   */
  #moveTo(position: number): void {
    if (position > this.#inputEnd && this.#position <= this.#inputEnd) {
      const room = 2 * WINDOW_BYTES - LOOK_AHEAD;
      const moves = Math.max(0, Math.ceil((position - room + 1) / WINDOW_BYTES));
      this.#searchEnd = moves * WINDOW_BYTES + room;
    }
    this.#position = position;
  }

  #predictLazy(): Token {
    const here = this.#ahead ?? this.#find(this.#position, NO_MATCH);
    const length = tokenLength(here);
    if (length < MIN_MATCH) return LITERAL;
    if (length >= this.#effort.lazy) return here;
    const next = this.#find(this.#position + 1, here);
    if (tokenLength(next) <= length) return here;
    this.#nextAhead = next;
    return LITERAL;
  }

  #find(position: number, best: Token): Token {
    if (position > this.#searchEnd) return NO_MATCH;
    const { good, chain, nice, isLazy } = this.#effort;
    const match = this.#search.find(position, best, tokenLength(best) >= good ? chain >> 2 : chain, nice);
    return isLazy && isTooFar(match) ? NO_MATCH : match;
  }
}
