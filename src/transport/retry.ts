/** Tries again after failures that may pass, going on at the byte where a read broke off. */
import { isTransient, type ReadOptions, type Source } from './source.ts';
import { waitFor } from './wait.ts';

export interface RetryOptions {
  /** Attempts in a row that bring nothing until the failure is final. */
  readonly attempts?: number;
  /** Milliseconds before the second attempt; each further one waits twice as long, up to {@link longestPause}. */
  readonly firstPause?: number;
  readonly longestPause?: number;
  /** A number from 0 to 1, so that a fleet does not come back all at once. */
  readonly random: () => number;
  /** Waits; replaced in tests. */
  readonly wait?: typeof waitFor;
}

const ATTEMPTS = 5;
const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 30_000;

/** An attempt that brought this many bytes was worth it: the count of attempts starts again. It bounds attempts by the size of the thing. */
const PROGRESS_BYTES = 64 * 1024;

export class RetryingSource implements Source {
  readonly location: string;
  readonly #source: Source;
  readonly #options: Required<RetryOptions>;

  constructor(source: Source, options: RetryOptions) {
    this.location = source.location;
    this.#source = source;
    this.#options = {
      attempts: options.attempts ?? ATTEMPTS,
      firstPause: options.firstPause ?? FIRST_PAUSE,
      longestPause: options.longestPause ?? LONGEST_PAUSE,
      random: options.random,
      wait: options.wait ?? waitFor,
    };
  }

  async *read(path: string, options: ReadOptions): AsyncGenerator<Uint8Array> {
    // What comes after a break must be of the same version as what came before it.
    const version = options.version ?? {};
    let done = 0;
    let failures = 0;
    for (;;) {
      const before = done;
      try {
        for await (const chunk of this.#source.read(path, { ...resumeAt(options, done), version })) {
          done += chunk.length;
          yield chunk;
        }
        return;
      } catch (error) {
        if (!isTransient(error)) throw error;
        failures = done - before >= PROGRESS_BYTES ? 1 : failures + 1;
        if (failures >= this.#options.attempts) throw error;
        await this.#pause(failures, error.facts.retryAfter, options.signal);
      }
    }
  }

  close(): Promise<void> {
    return this.#source.close();
  }

  /** Exponential backoff with jitter over the upper half of the pause; at least what the server asked for, up to the longest. */
  async #pause(failures: number, retryAfter: unknown, signal: AbortSignal | undefined): Promise<void> {
    const { firstPause, longestPause, random } = this.#options;
    const backoff = Math.min(longestPause, firstPause * 2 ** (failures - 1));
    const asked = typeof retryAfter === 'number' ? Math.min(longestPause, retryAfter * 1000) : 0;
    await this.#options.wait(Math.max(asked, backoff * (0.5 + random() / 2)), signal);
  }
}

/** The options for what is left of a read after its first `done` bytes. */
export function resumeAt(options: ReadOptions, done: number): ReadOptions {
  if (done === 0) return options;
  const { offset, length } = options.range ?? { offset: 0, length: Number.POSITIVE_INFINITY };
  return {
    ...options,
    range: { offset: offset + done, length: length - done },
    maxBytes: options.maxBytes - done,
  };
}
