/** Bases that are read from a store of objects, for whoever decodes outside of a pool's own records. */
import type { OpenObject } from '../objects/pool.ts';
import type { ObjectReference } from '../tree/references.ts';
import type { Base } from './codec.ts';
import { type ObjectReader, openExactly } from './object-reader.ts';

/** Bases that are open at the same time: reads are mostly front to back, and an open one may be held in memory. */
const OPEN_BASES = 4;

/** Opens bases when they are first read, and closes those that were opened first. */
export class OpenBases implements AsyncDisposable {
  readonly #store: ObjectReader;
  readonly #open = new Map<ObjectReference, Promise<OpenObject>>();

  constructor(store: ObjectReader) {
    this.#store = store;
  }

  baseOf(object: ObjectReference): Base {
    return { size: object.size, read: async (offset, length) => (await this.#opened(object)).read(offset, length) };
  }

  async #opened(object: ObjectReference): Promise<OpenObject> {
    const known = this.#open.get(object);
    if (known !== undefined) return known;
    const [first] = this.#open.keys();
    if (first !== undefined && this.#open.size >= OPEN_BASES) await this.#close(first);
    const opening = openExactly(this.#store, object);
    this.#open.set(object, opening);
    return opening;
  }

  async #close(object: ObjectReference): Promise<void> {
    const opening = this.#open.get(object);
    this.#open.delete(object);
    await (await opening)?.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const object of [...this.#open.keys()]) await this.#close(object);
  }
}
