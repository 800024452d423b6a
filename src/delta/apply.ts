/** Brings the objects of a delta into a pool, reading its payload front to back. */
import { availableParallelism } from 'node:os';
import type { Digest } from '../core/digest.ts';
import { OsupdError } from '../core/errors.ts';
import type { Progress } from '../core/progress.ts';
import { WorkerPool, workerModule } from '../core/workers.ts';
import type { ObjectBatch } from '../objects/ingest.ts';
import type { WrittenContent } from '../objects/write-content.ts';
import type { ReadRange } from '../transport/source.ts';
import { ByteBudget } from './budget.ts';
import { unpacked } from './codecs/unpacked.ts';
import { codecNamed } from './codecs.ts';
import { Cutter, copied } from './cutter.ts';
import { damagedDelta } from './damage.ts';
import { type BaseFile, decodeRecord, isSound, type RecordFiles } from './decode-record.ts';
import type { DecodeJob } from './decode-worker.ts';
import type { DeltaPlan, PlannedRecord } from './plan.ts';
import { totalSize } from './total-size.ts';
import { Turns } from './turns.ts';

export { type DeltaHead, readHead } from './head.ts';
export { type DeltaPlan, namedBy, planRecords } from './plan.ts';

/** Records up to this many bytes are read before they are decoded, so that the network goes on meanwhile. */
const BUFFERED_BYTES = 16 << 20;

/** Stored bytes of records that were read and are not decoded yet: as many as keep all threads busy behind an initrd. */
const READ_AHEAD_BYTES = 20 << 20;

/** What the codecs of the records that are decoded at the same time need. */
const WORKING_BYTES = 64 << 20;

/** Threads that decode. Each takes 12 MiB and more of memory, and two fill what most networks and disks of devices can do. */
const MAX_THREADS = 2;

/** New objects of a thread: it makes few of them that stay. */
const YOUNG_MEGABYTES = 3;

/** Objects of fewer bytes are made before a thread has started. */
const THREADED_BYTES = 4 << 20;

/** The step's name in progress events. */
const STEP = 'apply';

export interface ApplyOptions {
  /** Step `apply`: bytes of the delta that are done. */
  readonly progress: Progress;
  readonly signal?: AbortSignal;
  /** Threads that decode: 0 for none but this one. By default that depends on the cores and on what there is to do. */
  readonly threads?: number;
}

/**
 * Reads what is planned and adds the objects to the batch, each when it is complete. After an interruption a new plan with
 * what the pool then has goes on.
 * @param read gives the bytes of a range of the delta file; its chunks are valid until the next step.
 * @throws OsupdError `damaged-delta`; `verification-failed` when an object does not have its digest, or a base has not; `damaged-store`
 * when a base is missing; `interrupted`; what `read` and the batch throw.
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
  await using run = new ApplyRun(plan, batch, options);
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

class ApplyRun implements AsyncDisposable {
  readonly #batch: ObjectBatch;
  readonly #options: ApplyOptions;
  readonly #readAhead = new ByteBudget(READ_AHEAD_BYTES);
  readonly #turns: Turns;
  readonly #urgency: ReadonlyMap<PlannedRecord, number>;
  readonly #threads: WorkerPool<DecodeJob, WrittenContent[]> | undefined;
  /** Records that were begun, by the objects in them: others may be based on those. */
  readonly #begun = new Map<Digest, Promise<void>>();
  readonly #running = new Set<Promise<void>>();
  #failure: { readonly error: unknown } | undefined;
  #done = 0;

  constructor(plan: DeltaPlan, batch: ObjectBatch, options: ApplyOptions) {
    const threads = options.threads ?? threadsFor(plan);
    this.#batch = batch;
    this.#options = options;
    this.#urgency = urgencyOf(plan.records);
    this.#turns = new Turns(Math.max(1, threads), WORKING_BYTES);
    if (threads === 0) return;
    this.#threads = new WorkerPool(workerModule(import.meta.url, './decode-worker'), {
      size: threads,
      youngMegabytes: YOUNG_MEGABYTES,
    });
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

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#threads?.close();
  }

  async #begin(record: PlannedRecord, cutter: Cutter): Promise<void> {
    const { length } = record.range;
    const isBuffered = length <= BUFFERED_BYTES;
    const release = await this.#readAhead.acquire(isBuffered ? length : 0);
    let stored: Uint8Array | AsyncIterable<Uint8Array>;
    try {
      this.#expectGoingOn();
      stored = isBuffered ? await collected(cutter.next(length), length) : copied(cutter.next(length));
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

  async #make(record: PlannedRecord, stored: Uint8Array | AsyncIterable<Uint8Array>): Promise<void> {
    for (const { digest } of record.bases) await this.#begun.get(digest);
    const endTurn = await this.#turns.take({ memory: memoryOf(record), length: this.#urgency.get(record)! });
    try {
      await this.#write(this.#filesOf(record), stored);
    } finally {
      endTurn();
    }
    this.#done += record.range.length;
    this.#options.progress({ kind: 'advance', step: STEP, done: this.#done });
  }

  async #write(files: RecordFiles, stored: Uint8Array | AsyncIterable<Uint8Array>): Promise<void> {
    try {
      for (const written of await this.#decode(files, stored)) await this.#batch.addWritten(written);
    } catch (error) {
      throw await blameBases(error, files);
    }
  }

  /** Bytes at hand are decoded by a thread where there are any. */
  #decode(files: RecordFiles, stored: Uint8Array | AsyncIterable<Uint8Array>): Promise<WrittenContent[]> {
    if (!(stored instanceof Uint8Array)) return decodeRecord(files, stored);
    if (this.#threads === undefined) return decodeRecord(files, once(stored));
    return this.#threads.run({ ...files, stored }, [stored.buffer as ArrayBuffer]);
  }

  #filesOf({ codec, bases, members, kept }: PlannedRecord): RecordFiles {
    const batch = this.#batch;
    return {
      codec,
      bases: bases.map(({ digest, size }) => ({ digest, size, paths: batch.pathsOf(digest) })),
      members: members.map(({ digest, size }) => {
        const isKept = kept.has(digest) && !batch.has(digest, size);
        return { digest, size, path: isKept ? batch.newPath() : undefined };
      }),
    };
  }
}

function threadsFor({ objectBytes }: DeltaPlan): number {
  return objectBytes < THREADED_BYTES ? 0 : Math.min(availableParallelism(), MAX_THREADS);
}

/**
 * What a record makes of a damaged base is rubbish, and looks like a wrong delta: so its bases are looked at then. Wrong ones are the cause.
 * @throws OsupdError `damaged-store` when one of them cannot be read.
 */
async function blameBases(error: unknown, { bases }: RecordFiles): Promise<unknown> {
  const isWrong =
    error instanceof OsupdError && (error.code === 'verification-failed' || error.code === 'damaged-delta');
  if (!isWrong) return error;
  const wrong: BaseFile[] = [];
  for (const base of bases) if (!(await isSound(base))) wrong.push(base);
  const [first] = wrong;
  if (first === undefined) return error;
  return new OsupdError('verification-failed', 'an object that the delta builds on is damaged', {
    where: first.paths.at(-1)!,
    remedy: 'run "osupd fsck --repair", then try again',
    facts: { objects: wrong.map(({ digest }) => digest) },
    cause: error,
  });
}

function memoryOf({ codec, members, bases }: PlannedRecord): number {
  const sizes = (objects: readonly { readonly size: number }[]) => objects.map(({ size }) => size);
  return codecNamed(codec).decodingMemory(sizes(bases), sizes(members));
}

/** Files that are packed again take so many times as long as others. */
const PACKING_FACTOR = 10;

/** How long it takes, in some unit, until each record is decoded and what is based on it, one after the other. */
function urgencyOf(records: readonly PlannedRecord[]): Map<PlannedRecord, number> {
  const urgency = new Map<PlannedRecord, number>();
  /** By object: the most urgent record that is based on it. */
  const dependents = new Map<Digest, number>();
  // From the end: what a record is based on comes before it.
  for (const record of records.toReversed()) {
    const { codec, members, bases } = record;
    const own = totalSize(members) * (codec === unpacked.name ? PACKING_FACTOR : 1);
    const total = members.reduce((most, { digest }) => Math.max(most, own + (dependents.get(digest) ?? 0)), own);
    urgency.set(record, total);
    for (const { digest } of bases) dependents.set(digest, Math.max(total, dependents.get(digest) ?? 0));
  }
  return urgency;
}

/** All bytes of chunks that come to `length`, in one buffer. */
async function collected(chunks: AsyncIterable<Uint8Array>, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  let at = 0;
  for await (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
