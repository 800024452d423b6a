/** Whether a record that somebody else made holds the objects that it should. */

import { FsverityHasher } from '../../objects/fsverity.ts';
import type { OpenObject } from '../../objects/pool.ts';
import type { ObjectReference } from '../../tree/references.ts';
import type { Base } from '../codec.ts';
import { codecNamed } from '../codecs.ts';
import { Cutter } from '../cutter.ts';
import { damagedDelta } from '../damage.ts';
import { type ObjectReader, openExactly } from '../object-reader.ts';
import type { RecordJob } from './record-job.ts';

/** Bases that are open at the same time: reads are mostly front to back, and an open one may be held in memory. */
const OPEN_BASES = 4;

/**
 * Decodes a record and compares the digests.
 * @throws OsupdError `damaged-delta` when it holds anything else, `unsupported` for an unknown codec; what the store throws.
 */
export async function checkRecord(
  { members, bases }: RecordJob,
  codecName: string,
  stored: AsyncIterable<Uint8Array>,
  store: ObjectReader,
): Promise<void> {
  const codec = codecNamed(codecName);
  await using open = new OpenBases(store);
  const usable = codec.usesBases ? bases.map((base) => open.baseOf(base)) : [];
  if (codec.usesBases && usable.length === 0) throw damagedDelta(`a record of the codec ${codecName} has no bases`);
  const content = codec.decode(
    stored,
    usable,
    members.map(({ size }) => size),
  );
  await using cutter = new Cutter(content, () => damagedDelta('a record holds less than its objects'));
  for (const { digest, size } of members) {
    const hasher = new FsverityHasher();
    for await (const piece of cutter.next(size)) hasher.update(piece);
    if (hasher.digest() !== digest) throw damagedDelta('a record holds other content than its objects have');
  }
  if (!(await cutter.isAtEnd())) throw damagedDelta('a record holds more than its objects');
}

/** Opens bases when they are first read, and closes those that were opened first. */
class OpenBases implements AsyncDisposable {
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
