/** A source over files in memory that notes what was read and can be made to fail. */
import { OsupdError } from '../../src/core/errors.ts';
import { networkError, type ReadOptions, type Source, tooLong } from '../../src/transport/source.ts';

export class MemorySource implements Source {
  readonly location = 'memory:';
  readonly reads: string[] = [];
  /** Replaces the content of single paths; `endless` never ends, `dead` cannot be reached. */
  readonly tricks = new Map<string, 'endless' | 'dead' | Buffer>();
  readonly #files: ReadonlyMap<string, Buffer>;

  constructor(files: ReadonlyMap<string, Buffer>) {
    this.#files = files;
  }

  async *read(path: string, { range, maxBytes }: ReadOptions): AsyncGenerator<Uint8Array> {
    this.reads.push(path);
    const where = `memory:/${path}`;
    const trick = this.tricks.get(path);
    if (trick === 'dead') throw networkError('no server listens there', where, { transient: true });
    if (trick === 'endless') {
      for (let sent = 0; sent <= maxBytes; sent += 1000) yield Buffer.alloc(Math.min(1000, maxBytes - sent), 0x20);
      throw tooLong(maxBytes, where);
    }
    const content = trick ?? this.#files.get(path);
    if (content === undefined) throw new OsupdError('not-found', 'there is no such file', { where });
    const { offset, length } = range ?? { offset: 0, length: content.length };
    const end = length === Number.POSITIVE_INFINITY ? content.length : offset + length;
    if (end > content.length) throw networkError('it is too short', where, { transient: false });
    if (end - offset > maxBytes) throw tooLong(maxBytes, where);
    yield content.subarray(offset, end);
  }

  async close(): Promise<void> {}
}
