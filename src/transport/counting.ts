/** Counts what passes through a source: the truth behind every "downloaded N bytes". */
import type { ReadOptions, Source } from './source.ts';

export class CountingSource implements Source {
  readonly location: string;
  readonly #source: Source;
  /** Bytes of content that arrived, without the protocol's own. */
  bytes = 0;
  /** Reads that were begun. */
  reads = 0;
  /** Told the count of bytes whenever it grows. */
  onBytes: (bytes: number) => void = () => {};

  constructor(source: Source) {
    this.location = source.location;
    this.#source = source;
  }

  async *read(path: string, options: ReadOptions): AsyncGenerator<Uint8Array> {
    this.reads++;
    for await (const chunk of this.#source.read(path, options)) {
      this.bytes += chunk.length;
      this.onBytes(this.bytes);
      yield chunk;
    }
  }

  close(): Promise<void> {
    return this.#source.close();
  }
}
