/**
 * The search for matches of LZ4's high compression: a hash of four bytes leads to the last place that had it, and from each
 * place a distance leads on to the one before (the LZ4 project's lz4hc, as version 1.9 behaves).
 */
import { MAX_DISTANCE, MIN_MATCH } from './block.ts';

const HASH_BITS = 15;

/** Positions are counted from here, so that 0 is before all of them. */
const ORIGIN = MAX_DISTANCE + 1;

/** With more attempts than this, runs of one byte are recognized and crossed in one step. */
const RUN_ATTEMPTS = 128;

/**
 * Work that the searches in one block may cost for each byte of content, in places looked at and bytes compared; encoder and decoder count
 * alike, and then find nothing any more. Program code takes a tenth of it.
 */
const WORK_PER_BYTE = 2048;

export class ChainSearch {
  /** What the last search found: where the match is, and where what matches it begins. */
  foundAt = 0;
  foundStart = 0;
  readonly #content: Uint8Array;
  readonly #attempts: number;
  readonly #heads = new Int32Array(1 << HASH_BITS);
  readonly #chain = new Uint16Array(ORIGIN).fill(MAX_DISTANCE);
  /** The first position that has not been noted. */
  #next = 0;
  #budget: number;

  constructor(content: Uint8Array, attempts: number) {
    this.#content = content;
    this.#attempts = attempts;
    this.#budget = WORK_PER_BYTE * (content.length + ORIGIN);
  }

  /**
   * Looks for a match longer than `longest` that covers a position.
   * @param low the match may begin here instead. @param limit no match goes beyond.
   * @returns its length, and where it is in {@link foundAt} and {@link foundStart}; `longest` where there is none.
   */
  find(position: number, low: number, limit: number, longest: number): number {
    const content = this.#content;
    const chain = this.#chain;
    this.#note(position);
    const here = position + ORIGIN;
    const lowest = position <= MAX_DISTANCE ? ORIGIN : here - MAX_DISTANCE;
    const lookBack = position - low;
    const withRuns = this.#attempts > RUN_ATTEMPTS;
    const first = content[position] as number;
    const second = content[position + 1] as number;
    const third = content[position + 2] as number;
    const fourth = content[position + 3] as number;
    let best = longest;
    let run = -1;
    let place = this.#heads[this.#hash(position)] as number;
    // Where the true stream went back behind what was noted: only what is before the position counts.
    while (place >= here) place -= chain[place & 0xffff] as number;
    if (this.#budget < 0) return longest;
    let work = 0;
    for (let left = this.#attempts; place >= lowest && left > 0; left--) {
      const at = place - ORIGIN;
      work++;
      const probe = at - lookBack + best - 1;
      if (
        content[probe] === content[low + best - 1] &&
        content[probe + 1] === content[low + best] &&
        content[at] === first &&
        content[at + 1] === second &&
        content[at + 2] === third &&
        content[at + 3] === fourth
      ) {
        let back = 0;
        const mostBack = Math.min(lookBack, at);
        while (back < mostBack && content[position - back - 1] === content[at - back - 1]) back++;
        let end = position + MIN_MATCH;
        for (const shift = at - position; end < limit && content[end] === content[end + shift]; ) end++;
        work += end - position;
        const length = end - position + back;
        if (length > best) {
          best = length;
          this.foundAt = at - back;
          this.foundStart = position - back;
        }
      }
      const step = chain[place & 0xffff] as number;
      if (withRuns && step === 1) {
        if (run < 0) {
          const isRun = first === second && first === third && first === fourth;
          run = isRun ? this.#runAfter(position, limit) : 0;
          work += run;
        }
        const candidate = at - 1;
        if (run > 0 && place - 1 >= lowest && this.#isRun(candidate, first)) {
          const forward = this.#runAfter(candidate, limit);
          const back = Math.min(this.#runBefore(candidate), place - 1 - lowest);
          work += forward + back;
          if (back + forward >= run && forward <= run) {
            place = place - 1 + forward - run;
            continue;
          }
          place = place - 1 - back;
          if (lookBack > 0) continue;
          const most = Math.min(back + forward, run);
          if (best < most) {
            if (here - place > MAX_DISTANCE) break;
            best = most;
            this.foundAt = place - ORIGIN;
            this.foundStart = position;
          }
          place -= chain[place & 0xffff] as number;
          continue;
        }
      }
      place -= step;
    }
    this.#budget -= work;
    return best;
  }

  #note(end: number): void {
    const heads = this.#heads;
    const chain = this.#chain;
    for (let at = this.#next; at < end; at++) {
      const hash = this.#hash(at);
      const here = at + ORIGIN;
      chain[here & 0xffff] = Math.min(here - (heads[hash] as number), MAX_DISTANCE);
      heads[hash] = here;
    }
    if (end > this.#next) this.#next = end;
  }

  #hash(at: number): number {
    const content = this.#content;
    const word =
      (content[at] as number) |
      ((content[at + 1] as number) << 8) |
      ((content[at + 2] as number) << 16) |
      ((content[at + 3] as number) << 24);
    return Math.imul(word, 2_654_435_761) >>> (32 - HASH_BITS);
  }

  #isRun(at: number, byte: number): boolean {
    const content = this.#content;
    return content[at] === byte && content[at + 1] === byte && content[at + 2] === byte && content[at + 3] === byte;
  }

  /** Length of the run of one byte that begins at a place, of which the first four bytes are known to be one. */
  #runAfter(at: number, limit: number): number {
    const content = this.#content;
    const byte = content[at];
    let end = at + MIN_MATCH;
    while (end < limit && content[end] === byte) end++;
    return end - at;
  }

  /** And how far it goes back before it. */
  #runBefore(at: number): number {
    const content = this.#content;
    const byte = content[at];
    let start = at;
    while (start > 0 && content[start - 1] === byte) start--;
    return at - start;
  }
}
