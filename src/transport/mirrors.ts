/** Several places with the same content: the first that answers serves, the next takes over where one fails. */
import { OsupdError } from '../core/errors.ts';
import { resumeAt } from './retry.ts';
import type { ReadOptions, Source, Version } from './source.ts';

export class MirroredSource implements Source {
  readonly location: string;
  readonly #sources: readonly Source[];
  /** The mirror that served last; asked first, so that a dead one costs its timeout once. */
  #preferred = 0;

  /** @param sources the preferred first; at least one */
  constructor(sources: readonly Source[]) {
    this.#sources = sources;
    this.location = sources[0]?.location ?? '';
  }

  async *read(path: string, options: ReadOptions): AsyncGenerator<Uint8Array> {
    let done = 0;
    const failures: OsupdError[] = [];
    const { version: _, ...rest } = options;
    for (let step = 0; step < this.#sources.length; step++) {
      const at = (this.#preferred + step) % this.#sources.length;
      const source = this.#sources[at];
      if (source === undefined) break;
      // Mirrors number versions in their own ways.
      const version: Version = {};
      try {
        for await (const chunk of source.read(path, { ...resumeAt(rest, done), version })) {
          done += chunk.length;
          yield chunk;
        }
        this.#preferred = at;
        return;
      } catch (error) {
        if (!(error instanceof OsupdError) || !['network', 'not-found'].includes(error.code)) throw error;
        failures.push(error);
      }
    }
    throw decisive(failures);
  }

  async close(): Promise<void> {
    for (const source of this.#sources) await source.close();
  }
}

/**
 * The failure that speaks for all. Every mirror is a whole copy, so what one of them does not have does not exist, even
 * while another is down. Then one that may pass; a further attempt asks all again.
 */
function decisive(failures: readonly OsupdError[]): OsupdError | undefined {
  return (
    failures.find((error) => error.code === 'not-found') ??
    failures.find((error) => error.facts.transient !== false) ??
    failures[0]
  );
}
