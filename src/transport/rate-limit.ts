/** Holds all reads of a source together below a number of bytes a second. */
import type { ReadOptions, Source } from './source.ts';
import { waitFor } from './wait.ts';

/** Seconds of the rate that may arrive at once after a pause. */
const BURST_SECONDS = 0.25;
/** Chunks are passed on in pieces of at most this size, so that reads side by side get their turns. */
const PIECE_BYTES = 16 * 1024;

export interface RateClock {
  /** Milliseconds from any fixed point. */
  readonly now: () => number;
  readonly wait: typeof waitFor;
}

export class RateLimitedSource implements Source {
  readonly location: string;
  readonly #source: Source;
  readonly #bytesPerSecond: number;
  readonly #clock: RateClock;
  /** When, by the clock, all bytes handed out so far will have had their time. */
  #paidUntil = Number.NEGATIVE_INFINITY;

  constructor(source: Source, bytesPerSecond: number, clock: RateClock = realClock) {
    this.location = source.location;
    this.#source = source;
    this.#bytesPerSecond = bytesPerSecond;
    this.#clock = clock;
  }

  async *read(path: string, options: ReadOptions): AsyncGenerator<Uint8Array> {
    for await (const chunk of this.#source.read(path, options)) {
      for (let at = 0; at < chunk.length; at += PIECE_BYTES) {
        const piece = chunk.subarray(at, at + PIECE_BYTES);
        await this.#take(piece.length, options.signal);
        yield piece;
      }
    }
  }

  close(): Promise<void> {
    return this.#source.close();
  }

  async #take(bytes: number, signal: AbortSignal | undefined): Promise<void> {
    const now = this.#clock.now();
    const earliest = now - BURST_SECONDS * 1000;
    this.#paidUntil = Math.max(this.#paidUntil, earliest) + (bytes / this.#bytesPerSecond) * 1000;
    if (this.#paidUntil > now) await this.#clock.wait(this.#paidUntil - now, signal);
  }
}

const realClock: RateClock = { now: () => performance.now(), wait: waitFor };
