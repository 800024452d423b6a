/** Brings the objects of a delta into a pool, reading its payload front to back. */
import { collect } from '../core/bytes.ts';
import type { Digest } from '../core/digest.ts';
import { OsupdError } from '../core/errors.ts';
import type { Progress } from '../core/progress.ts';
import type { ObjectBatch } from '../objects/ingest.ts';
import type { OpenObject } from '../objects/pool.ts';
import type { ReadRange } from '../transport/source.ts';
import type { ObjectReference } from '../tree/references.ts';
import { ByteBudget } from './budget.ts';
import type { Base } from './codec.ts';
import { codecNamed } from './codecs.ts';
import { Cutter } from './cutter.ts';
import { damagedDelta } from './damage.ts';
import type { DeltaPlan, PlannedRecord } from './plan.ts';
import { totalSize } from './total-size.ts';

export { type DeltaHead, readHead } from './head.ts';
export { type DeltaPlan, namedBy, planRecords } from './plan.ts';

/** Records up to this many bytes are read before they are decoded, so that the network goes on meanwhile. */
const BUFFERED_BYTES = 1 << 20;

/** Memory of the records that are decoded at the same time: bytes as stored, and what their codecs need. */
const WORKING_BYTES = 32 << 20;

/** The largest window of a record without bases. */
const MAX_WHOLE_WINDOW_BYTES = 8 << 20;

/** The step's name in progress events. */
const STEP = 'apply';

export interface ApplyOptions {
  /** Step `apply`: bytes of the delta that are done. */
  readonly progress: Progress;
  readonly signal?: AbortSignal;
}

/**
 * Reads what is planned and adds the objects to the batch, each when it is complete. After an interruption a new plan with
 * what the pool then has goes on.
 * @param read gives the bytes of a range of the delta file; its chunks are valid until the next step.
 * @throws OsupdError `damaged-delta`; `verification-failed` when an object does not have its digest; `damaged-store` when
 * a base is missing; `interrupted`; what `read` and the batch throw.
 */
export async function applyRecords(
  plan: DeltaPlan,
  read: (range: ReadRange) => AsyncIterable<Uint8Array>,
  batch: ObjectBatch,
  options: ApplyOptions,
): Promise<void> {
  const [missing] = plan.missing;
  if (missing !== undefined) {
    throw new OsupdError('damaged-store', `${plan.missing.length} objects that the delta builds on are missing`, {
      where: missing.digest,
      remedy: 'run "osupd fsck --repair"',
      facts: { objects: plan.missing.map(({ digest }) => digest) },
    });
  }
  const { progress } = options;
  progress({ kind: 'start', step: STEP, unit: 'bytes', total: plan.fetchBytes });
  const run = new ApplyRun(batch, options);
  try {
    let first = 0;
    for (const range of plan.ranges) {
      let last = first;
      while (last < plan.records.length && plan.records[last]!.range.offset < range.offset + range.length) last++;
      await run.readRange(range, plan.records.slice(first, last), read(range));
      first = last;
    }
  } catch (error) {
    run.fail(error);
  }
  await run.finish();
  progress({ kind: 'finish', step: STEP, done: plan.fetchBytes });
}

class ApplyRun {
  readonly #batch: ObjectBatch;
  readonly #options: ApplyOptions;
  readonly #budget = new ByteBudget(WORKING_BYTES);
  /** Records that were begun, by the objects in them: others may be based on those. */
  readonly #begun = new Map<Digest, Promise<void>>();
  readonly #running = new Set<Promise<void>>();
  #failure: { readonly error: unknown } | undefined;
  #done = 0;

  constructor(batch: ObjectBatch, options: ApplyOptions) {
    this.#batch = batch;
    this.#options = options;
  }

  /** Reads the records of one range. Small ones may still be decoded when it returns. */
  async readRange(
    range: ReadRange,
    records: readonly PlannedRecord[],
    source: AsyncIterable<Uint8Array>,
  ): Promise<void> {
    await using cutter = new Cutter(source, (missing) =>
      damagedDelta(
        `the delta ends ${missing} bytes too early, between ${range.offset} and ${range.offset + range.length}`,
      ),
    );
    let at = range.offset;
    for (const record of records) {
      await cutter.skip(record.range.offset - at);
      await this.#begin(record, cutter);
      at = record.range.offset + record.range.length;
    }
  }

  /** The first failure is the one that {@link finish} throws; it also ends the reading. */
  fail(error: unknown): void {
    this.#failure ??= { error };
  }

  async finish(): Promise<void> {
    await Promise.allSettled(this.#running);
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  async #begin(record: PlannedRecord, cutter: Cutter): Promise<void> {
    const release = await this.#budget.acquire(memoryOf(record));
    const { length } = record.range;
    const isBuffered = length <= BUFFERED_BYTES;
    let stored: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
    try {
      this.#expectGoingOn();
      stored = isBuffered ? [await collect(copied(cutter.next(length)))] : copied(cutter.next(length));
    } catch (error) {
      release();
      throw error;
    }
    const made = this.#make(record, stored).finally(release);
    for (const { digest } of record.members) this.#begun.set(digest, made);
    if (!isBuffered) return await made;
    this.#running.add(made);
    made.then(
      () => this.#running.delete(made),
      (error) => this.fail(error),
    );
  }

  #expectGoingOn(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
    if (this.#options.signal?.aborted)
      throw new OsupdError('interrupted', 'stopped; what was read so far is kept and not fetched again');
  }

  async #make(record: PlannedRecord, stored: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<void> {
    try {
      const bases = record.bases.map((base) => this.#baseOf(base));
      const sizes = record.members.map(({ size }) => size);
      const content = codecNamed(record.codec).decode(asyncOf(stored), bases, sizes);
      await using cutter = new Cutter(content, () => damagedDelta('a record holds less than its objects'));
      for (const { digest, size } of record.members) {
        if (record.kept.has(digest) && !this.#batch.has(digest, size))
          await this.#batch.addExpected(digest, size, cutter.next(size));
        else await cutter.skip(size);
      }
      if (!(await cutter.isAtEnd())) throw damagedDelta('a record holds more than its objects');
    } catch (error) {
      throw blameBases(error, record);
    }
    this.#done += record.range.length;
    this.#options.progress({ kind: 'advance', step: STEP, done: this.#done });
  }

  /** It is open only while it is read: a record may have thousands. */
  #baseOf(object: ObjectReference): Base {
    return {
      size: object.size,
      read: async (offset, length) => {
        await using base = await this.#openBase(object);
        return await base.read(offset, length);
      },
    };
  }

  async #openBase({ digest, size }: ObjectReference): Promise<OpenObject> {
    await this.#begun.get(digest);
    const base = await this.#batch.open(digest);
    if (base.size === size) return base;
    await base.close();
    throw new OsupdError('damaged-store', `the object has ${base.size} bytes, its image says ${size}`, {
      where: base.path,
      remedy: 'run "osupd fsck --repair"',
      facts: { object: digest },
    });
  }
}

/** Wrong content of a record with bases has one more possible cause than a wrong delta. */
function blameBases(error: unknown, record: PlannedRecord): unknown {
  if (!(error instanceof OsupdError) || error.code !== 'verification-failed' || record.bases.length === 0) return error;
  return new OsupdError(error.code, `${error.message}: the delta is wrong, or an object that it builds on is damaged`, {
    ...(error.where === undefined ? {} : { where: error.where }),
    remedy: 'run "osupd fsck --repair", then try again',
    facts: { ...error.facts, bases: record.bases.map(({ digest }) => digest) },
    cause: error,
  });
}

/** The bytes as stored, the bases twice (as read, and in the codec), and the content or its window. */
function memoryOf({ range, members, bases }: PlannedRecord): number {
  const content = totalSize(members);
  const window = bases.length > 0 ? content : Math.min(content, MAX_WHOLE_WINDOW_BYTES);
  return Math.min(range.length, BUFFERED_BYTES) + 2 * totalSize(bases) + window;
}

/** Chunks that stay valid. */
async function* copied(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) yield Uint8Array.from(chunk);
}

async function* asyncOf(chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* chunks;
}
