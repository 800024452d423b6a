/** The search for matches of zlib and gzip: chains of earlier places whose next three bytes have the same hash. */
import { MAX_MATCH, MIN_MATCH, matchToken, type Token, tokenDistance, tokenLength, WINDOW_BYTES } from './symbols.ts';

/** What the compressors want to see ahead of a position: a match, and the start of the next. */
export const LOOK_AHEAD = MAX_MATCH + MIN_MATCH + 1;

/** Matches begin no farther back: the compressors keep room for the look ahead in their window. */
const MAX_DISTANCE = WINDOW_BYTES - LOOK_AHEAD;

/**
 * Work that searches may cost for each byte of content, in places looked at and bytes compared; both sides count it alike, and
 * then find nothing any more. The programs themselves need a tenth of it on what they compress well.
 */
const WORK_PER_BYTE = 1024;

/** No match: the length that a search has to beat. */
export const NO_MATCH: Token = matchToken(MIN_MATCH - 1, 0);

export class MatchSearch {
  readonly #content: Uint8Array;
  readonly #heads: Int32Array;
  readonly #before = new Int32Array(WINDOW_BYTES);
  readonly #shift: number;
  readonly #mask: number;
  /** The first position that no chain has yet. */
  #next = 0;
  /** Work that is left. */
  #budget: number;

  constructor(content: Uint8Array, hashBits: number) {
    this.#content = content;
    this.#budget = WORK_PER_BYTE * (content.length + WINDOW_BYTES);
    this.#heads = new Int32Array(1 << hashBits);
    this.#shift = Math.ceil(hashBits / MIN_MATCH);
    this.#mask = (1 << hashBits) - 1;
  }

  /** Notes all positions before `end` that are not noted yet. */
  note(end: number): void {
    const content = this.#content;
    const heads = this.#heads;
    const before = this.#before;
    const shift = this.#shift;
    const stop = Math.min(end, content.length - MIN_MATCH + 1);
    for (let at = this.#next; at < stop; at++) {
      const hash =
        (((content[at] as number) << (2 * shift)) ^
          ((content[at + 1] as number) << shift) ^
          (content[at + 2] as number)) &
        this.#mask;
      before[at & (WINDOW_BYTES - 1)] = heads[hash] as number;
      heads[hash] = at;
    }
    this.#next = Math.max(this.#next, end);
  }

  /** Leaves out the positions before `end` that are not noted yet. */
  leaveOut(end: number): void {
    this.#next = Math.max(this.#next, end);
  }

  /**
   * The longest match at a position, of all that are longer than `best` the nearest.
   * @param best the match to beat. @param chain so many places are looked at. @param nice a match of this length is enough.
   * @returns `best` where there is none.
   */
  find(position: number, best: Token, chain: number, nice: number): Token {
    const content = this.#content;
    const before = this.#before;
    const most = Math.min(MAX_MATCH, content.length - position);
    if (most < MIN_MATCH) return best;
    this.note(position + 1);
    const enough = Math.min(nice, most);
    let length = tokenLength(best);
    // A match to beat that is as long as what is left, or longer, cannot be beaten.
    if (length >= most) return best;
    let found = best;
    // The compressors mark the end of a chain by position 0, which therefore never matches.
    const limit = Math.max(0, position - MAX_DISTANCE);
    let place = before[position & (WINDOW_BYTES - 1)] as number;
    if (place < limit || place === 0 || this.#budget < 0) return best;
    let left = chain;
    let compared = 0;
    do {
      if (
        content[place + length] === content[position + length] &&
        content[place + length - 1] === content[position + length - 1] &&
        content[place] === content[position] &&
        content[place + 1] === content[position + 1]
      ) {
        let same = 2;
        while (same < most && content[place + same] === content[position + same]) same++;
        compared += same;
        if (same > length) {
          length = same;
          found = matchToken(same, position - place);
          if (same >= enough) break;
        }
      }
      place = before[place & (WINDOW_BYTES - 1)] as number;
    } while (place > limit && --left > 0);
    this.#budget -= chain - left + compared;
    return found;
  }
}

/** Whether a match of three bytes is too far away to pay (both compressors say more than 4096). */
export function isTooFar(match: Token): boolean {
  return tokenLength(match) === MIN_MATCH && tokenDistance(match) > 4096;
}
