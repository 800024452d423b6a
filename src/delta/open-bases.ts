/** Bases that are opened when they are first read: a record may have thousands, of which few are read at a time. */
import type { Base } from './codec.ts';

/** Bases that are open at the same time: members are mostly made from one, and some from a few. */
const OPEN_BASES = 4;

/** A base that is open. */
export interface OpenBase extends Omit<Base, 'size'> {
  close(): Promise<void>;
}

/** Opens bases when they are first read, and closes those that were read longest ago. */
export class OpenBases<Source extends { readonly size: number }> implements AsyncDisposable {
  readonly #openOne: (source: Source) => Promise<OpenBase>;
  /** In the order in which they were read last. */
  readonly #open = new Map<Source, Promise<OpenBase>>();

  constructor(open: (source: Source) => Promise<OpenBase>) {
    this.#openOne = open;
  }

  baseOf(source: Source): Base {
    return {
      size: source.size,
      read: async (offset, length) => (await this.#opened(source)).read(offset, length),
      readInto: async (target, offset) => {
        const base = await this.#opened(source);
        if (base.readInto !== undefined) return base.readInto(target, offset);
        target.set(await base.read(offset, target.length));
      },
    };
  }

  async #opened(source: Source): Promise<OpenBase> {
    const known = this.#open.get(source);
    this.#open.delete(source);
    const [first] = this.#open.keys();
    if (known === undefined && first !== undefined && this.#open.size >= OPEN_BASES) await this.#close(first);
    const opening = known ?? this.#openOne(source);
    this.#open.set(source, opening);
    return opening;
  }

  async #close(source: Source): Promise<void> {
    const opening = this.#open.get(source);
    this.#open.delete(source);
    let base: OpenBase;
    try {
      base = await opening!;
    } catch {
      // Whoever asked for it was told why it could not be opened.
      return;
    }
    await base.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const source of [...this.#open.keys()]) await this.#close(source);
  }
}
