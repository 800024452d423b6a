/** Encodes on all cores, with a bound on the bytes that are worked on at the same time. */
import { OsupdError } from '../core/errors.ts';
import { MAX_DIFFERENCED_BYTES, MAX_UNPACKED_BYTES } from '../core/limits.ts';
import { WorkerPool, workerModule } from '../core/workers.ts';
import type { ObjectReference } from '../tree/references.ts';
import { type EncodeOptions, oneMember } from './codec.ts';
import { encodeZstdStream, zstd } from './codecs/zstd.ts';
import { compressionMemory } from './codecs/zstd-frame.ts';
import { codecNamed } from './codecs.ts';
import type { ContentKind, Encoded, EncodeJob } from './encode-worker.ts';
import type { Group } from './groups.ts';
import { PACKED_KINDS } from './kinds.ts';
import { type ObjectReader, openExactly } from './object-reader.ts';
import { streamBase } from './read-base.ts';
import type { Spool, Spooled } from './spool.ts';
import { sum, totalSize } from './total-size.ts';
import { Turns, type Work } from './turns.ts';

export type { ObjectReader } from './object-reader.ts';

/**
 * Memory of the records that are encoded at the same time, for each thread: two of them have room for a kernel of 14 MB beside a group of
 * modules. A record that needs more is encoded alone.
 */
const WORKING_BYTES = 360 << 20;

/** Records that are read while all threads encode. */
const READ_AHEAD = 1;

/** New objects of a thread: a third of what the runtime would take, and as fast. */
const YOUNG_MEGABYTES = 12;

/** Content without a base is encoded in pieces from this size on. */
const STREAMED_BYTES = 64 << 20;

export interface EncodedRecord {
  readonly codec: string;
  readonly usesBases: boolean;
  readonly spooled: Spooled;
}

export class Encoder implements AsyncDisposable {
  readonly #store: ObjectReader;
  readonly #effort: number;
  readonly #workers: WorkerPool<EncodeJob, Encoded | undefined>;
  readonly #turns: Turns;
  #failed = false;

  /** @param workers number of threads; all cores by default. The result does not depend on it. */
  constructor(store: ObjectReader, effort: number, workers?: number) {
    this.#store = store;
    this.#effort = effort;
    this.#workers = new WorkerPool(
      workerModule(import.meta.url, './encode-worker'),
      workers === undefined ? { youngMegabytes: YOUNG_MEGABYTES } : { size: workers, youngMegabytes: YOUNG_MEGABYTES },
    );
    this.#turns = new Turns(this.#workers.size + READ_AHEAD, WORKING_BYTES * this.#workers.size);
  }

  /** Number of threads. */
  get threads(): number {
    return this.#workers.size;
  }

  /** Encodes bytes in memory, of which copies are made. */
  async encodeBytes(target: Uint8Array, base: Uint8Array | undefined): Promise<Encoded> {
    const memory = encodingMemory(target.length, base === undefined ? [] : [base.length]);
    const release = await this.#turns.take({ memory, length: target.length });
    try {
      const bases = base === undefined ? [] : [Uint8Array.from(base)];
      const options = oneMember(target.length, bases.length, this.#effort);
      return await this.#run(Uint8Array.from(target), bases, 'image', options);
    } finally {
      release();
    }
  }

  /** Encodes the content of some objects as one, by the smallest of all ways, to the spool. */
  async encodeRecord(group: Group, spool: Spool): Promise<EncodedRecord> {
    const { bases } = group;
    const members = group.members.map(({ object }) => object);
    const targetBytes = totalSize(members);
    const usable = totalSize(bases) + targetBytes <= MAX_DIFFERENCED_BYTES ? bases : [];
    const streamed = usable.length === 0 && targetBytes >= STREAMED_BYTES;
    const release = await this.#turns.take(
      streamed
        ? { memory: encodingMemory(0, []), length: targetBytes }
        : workOf(usable === bases ? group : withoutBases(group)),
    );
    try {
      // Another record has failed: there is no use for this one.
      if (this.#failed) throw new OsupdError('interrupted', 'stopped before the work was done');
      return streamed
        ? await this.#encodeStream(members, targetBytes, spool)
        : await this.#encodeInMemory(usable === bases ? group : withoutBases(group), spool);
    } catch (error) {
      this.#failed = true;
      throw error;
    } finally {
      release();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#workers.close();
  }

  async #encodeInMemory({ kind, members, bases }: Group, spool: Spool): Promise<EncodedRecord> {
    const target = await this.#readObjects(members.map(({ object }) => object));
    const separate: Uint8Array<ArrayBuffer>[] = [];
    for (const base of bases) separate.push(await this.#readObjects([base]));
    const { codec, stored } = await this.#run(target, separate, kind, {
      effort: this.#effort,
      members: members.map(({ object }) => object.size),
      basesOf: members.map((member) => member.bases),
    });
    return { codec, usesBases: codecNamed(codec).usesBases, spooled: await spool.write([stored]) };
  }

  async #encodeStream(members: readonly ObjectReference[], size: number, spool: Spool): Promise<EncodedRecord> {
    const spooled = await spool.write(encodeZstdStream(this.#streamObjects(members), size, this.#effort));
    return { codec: zstd.name, usesBases: false, spooled };
  }

  async #run(
    target: Uint8Array<ArrayBuffer>,
    bases: readonly Uint8Array<ArrayBuffer>[],
    kind: ContentKind,
    options: EncodeOptions,
  ): Promise<Encoded> {
    const moved = [target.buffer, ...bases.map(({ buffer }) => buffer)];
    const encoded = await this.#workers.run({ target, bases, kind, options }, moved);
    if (encoded === undefined) throw new OsupdError('internal', 'no codec takes this content');
    return encoded;
  }

  async #readObjects(objects: readonly ObjectReference[]): Promise<Uint8Array<ArrayBuffer>> {
    const joined = new Uint8Array(totalSize(objects));
    let at = 0;
    for await (const chunk of this.#streamObjects(objects)) {
      joined.set(chunk, at);
      at += chunk.length;
    }
    return joined;
  }

  /** One after the other: a group may have thousands. */
  async *#streamObjects(objects: readonly ObjectReference[]): AsyncGenerator<Uint8Array> {
    for (const object of objects) {
      await using opened = await openExactly(this.#store, object);
      yield* streamBase(opened);
    }
  }
}

function withoutBases(group: Group): Group {
  return { ...group, members: group.members.map(({ object }) => ({ object, bases: [] })), bases: [] };
}

/** For each byte of the largest base: itself projected, its suffix array, and what else is told of its bytes. */
const ALIGNING_FACTOR = 7;

/** Content of files that are compressed inside is this many times what it is compressed to, mostly. */
const UNPACKED_FACTOR = 4;

function workOf({ kind, members, bases }: Group): Work {
  const targetBytes = totalSize(members.map(({ object }) => object));
  const helping = new Set(members.flatMap((member) => member.bases));
  const sizes = bases.map(({ size }) => size);
  if (!PACKED_KINDS.has(kind)) return { memory: encodingMemory(targetBytes, sizes), length: targetBytes };
  const content = unpackedSize(targetBytes);
  const old = sizes.filter((_, index) => helping.has(index)).map(unpackedSize);
  // The decisions of a compressor take as much as its content, while they are read. Of an initrd little is left to be aligned.
  const hasContained = helping.size < bases.length;
  const unpacking = 3 * content + sum(old);
  const differencing = hasContained ? 0 : encodingMemory(content, old);
  return { memory: targetBytes + sum(sizes) + Math.max(unpacking, differencing), length: content };
}

function unpackedSize(size: number): number {
  return Math.max(size, Math.min(UNPACKED_FACTOR * size, MAX_UNPACKED_BYTES));
}

/** Memory of the codecs that are tried with a record, of which one works at a time. @param bases sizes. */
function encodingMemory(targetBytes: number, bases: readonly number[]): number {
  const baseBytes = sum(bases);
  const aligning = 2 * targetBytes + baseBytes + ALIGNING_FACTOR * bases.reduce((a, b) => Math.max(a, b), 0);
  return Math.max(aligning, baseBytes + compressionMemory(targetBytes, 0));
}
