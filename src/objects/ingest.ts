/**
 * Writing objects into a pool, many at a time and durably (I2). An object is first a file in the batch's staging area,
 * named by its digest when it is complete; a flush commits all that are staged. A batch that dies is picked up by the next.
 */
import { rmSync } from 'node:fs';
import type { ByteString } from '../core/bytes.ts';
import type { Digest } from '../core/digest.ts';
import { OsupdError } from '../core/errors.ts';
import type { SourceStat } from '../tree/tree.ts';
import { type CommitStep, commitObjects, type StagedObject } from './commit.ts';
import { FileQueue } from './file-queue.ts';
import { ObjectWorkers } from './object-workers.ts';
import { type OpenObject, openObjectAt, type Pool } from './pool.ts';
import { recoverStaged } from './recover.ts';
import { openStagingArea, type StagingArea } from './staging.ts';
import { type WrittenContent, writeContent } from './write-content.ts';

/** A flush starts by itself at the first of these: it bounds what a power cut undoes, and what waits to be written to disk. */
const FLUSH_OBJECTS = 4096;
const FLUSH_BYTES = 128 << 20;

export interface BatchOptions {
  /** Computing threads; all cores by default. */
  readonly workers?: number;
  readonly flushObjects?: number;
  readonly flushBytes?: number;
  /** Called as each step of a flush is done. */
  readonly onStep?: (step: CommitStep) => void;
}

/** Counts of objects, with the sum of their sizes in bytes. */
export interface Amount {
  count: number;
  bytes: number;
}

/**
 * One writer of a pool. Methods may be called without waiting for each other. After an error of a flush every later call
 * fails with it; {@link abort} is then the only way on.
 */
export class ObjectBatch implements AsyncDisposable {
  readonly pool: Pool;
  /** Objects that this batch brought into the pool (or has staged), without those it had. */
  readonly added: Amount = { count: 0, bytes: 0 };
  /** Objects that a dead batch had finished and this one took over; not part of `added`. */
  readonly recovered: Amount = { count: 0, bytes: 0 };
  readonly #options: Required<BatchOptions>;
  readonly #area: StagingArea;
  readonly #workers: ObjectWorkers;
  readonly #queue: FileQueue;
  /** Objects that the next flush takes, and those that a flush has taken. */
  #staged = new Map<Digest, StagedObject>();
  #stagedBytes = 0;
  readonly #committing = new Map<Digest, StagedObject>();
  /** The last flush; each waits for the one before. */
  #flushed: Promise<void> = Promise.resolve();
  #seal = true;
  #closed = false;

  private constructor(pool: Pool, area: StagingArea, workers: ObjectWorkers, options: BatchOptions) {
    this.pool = pool;
    this.#area = area;
    this.#workers = workers;
    this.#queue = new FileQueue(workers, pool.objectsDirectory, area);
    this.#options = {
      workers: workers.size,
      flushObjects: options.flushObjects ?? FLUSH_OBJECTS,
      flushBytes: options.flushBytes ?? FLUSH_BYTES,
      onStep: options.onStep ?? (() => {}),
    };
  }

  /**
   * Starts a batch. What dead batches had finished is committed first, the rest of theirs removed.
   * @throws OsupdError `busy` while a sweep of the pool runs.
   */
  static async open(pool: Pool, options: BatchOptions = {}): Promise<ObjectBatch> {
    const area = openStagingArea(pool.stagingDirectory);
    const workers = new ObjectWorkers(options.workers);
    const batch = new ObjectBatch(pool, area, workers, options);
    try {
      for (const [digest, object] of await recoverStaged(pool, area, workers)) {
        batch.#staged.set(digest, object);
        batch.recovered.count++;
        batch.recovered.bytes += object.size;
      }
      await batch.flush();
      return batch;
    } catch (error) {
      await batch.abort();
      throw error;
    }
  }

  /** True when the object is in the pool or staged here; with `size` (bytes) only when it has that length. */
  has(digest: Digest, size?: number): boolean {
    const staged = this.#stagedObject(digest);
    if (staged !== undefined) return size === undefined || staged.size === size;
    return this.pool.hasObject(digest, size);
  }

  /**
   * Adds content whose digest is not known yet.
   * @param size bytes that must come, where they are known. @throws OsupdError `verification-failed` when others come.
   */
  async add(content: AsyncIterable<Uint8Array>, size?: number): Promise<Digest> {
    const isKnown = (digest: Digest, length: number) => this.has(digest, length);
    const expected = size === undefined ? {} : { size };
    const written = await writeContent(content, this.newPath(), expected, isKnown);
    await this.#stage(written.digest, written, isKnown(written.digest, written.size));
    return written.digest;
  }

  /**
   * Adds content that must have this digest and size; an object that the pool has under the digest is replaced, which is
   * how a damaged one is repaired. Nothing is kept of other content, and no more than `size` bytes are read of it.
   * @throws OsupdError `verification-failed`.
   */
  async addExpected(digest: Digest, size: number, content: AsyncIterable<Uint8Array>): Promise<void> {
    await this.addWritten(await writeContent(content, this.newPath(), { digest, size }, () => false));
  }

  /** A path for {@link writeContent} on another thread; what that wrote is given to {@link addWritten}. */
  newPath(): string {
    return this.#area.newPath('streams');
  }

  /** Adds content that was written, and checked, at a path that {@link newPath} gave. */
  async addWritten({ digest, path, size }: WrittenContent): Promise<void> {
    await this.#stage(digest, { path, size }, this.#stagedObject(digest) !== undefined);
  }

  /**
   * Adds a file of this machine. Many calls at once are spread over all cores.
   * @param expected what the tree's reader saw of the file.
   * @throws OsupdError `changed-while-read` when the file is not, or does not stay, as expected.
   */
  async addFile(path: ByteString, expected: SourceStat): Promise<Digest> {
    const stored = await this.#queue.add(path, expected);
    const { size } = expected;
    await this.#stage(stored.digest, { path: stored.path, size }, this.has(stored.digest, size));
    return stored.digest;
  }

  /** An object of the pool, or one that is staged here. @throws OsupdError `damaged-store` when it is neither. */
  async open(digest: Digest): Promise<OpenObject> {
    const staged = this.#stagedObject(digest);
    if (staged !== undefined) {
      try {
        return await openObjectAt(staged.path, digest);
      } catch (error) {
        // A flush has moved it meanwhile.
        if (!(error instanceof OsupdError) || error.code !== 'damaged-store') throw error;
      }
    }
    return this.pool.openObject(digest);
  }

  /** Where an object is, or will be: a flush moves it from the first path to the last. */
  pathsOf(digest: Digest): string[] {
    const staged = this.#stagedObject(digest);
    const path = this.pool.objectPath(digest);
    return staged === undefined ? [path] : [staged.path, path];
  }

  /** Commits everything that is staged now; when it returns, that is in the pool and stays there after a power cut. */
  flush(): Promise<void> {
    const taken = this.#staged;
    this.#staged = new Map();
    this.#stagedBytes = 0;
    for (const [digest, object] of taken) this.#committing.set(digest, object);
    this.#flushed = this.#flushed.then(() => this.#commit(taken));
    // Whoever waits for it next gets the error; a flush that started by itself has no other caller.
    this.#flushed.catch(() => {});
    return this.#flushed;
  }

  /** Flushes and gives the staging area back. */
  async close(): Promise<void> {
    try {
      await this.flush();
    } finally {
      await this.#release();
    }
  }

  /** Gives up what is not committed yet. */
  async abort(): Promise<void> {
    // Its error has been, or will be, given to the caller of flush.
    await this.#flushed.catch(() => {});
    await this.#release();
  }

  /** Like {@link abort}; nothing happens after {@link close}. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.abort();
  }

  async #release(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#workers.close();
    this.#area.remove();
  }

  #stagedObject(digest: Digest): StagedObject | undefined {
    return this.#staged.get(digest) ?? this.#committing.get(digest);
  }

  /** Takes a complete file, or removes it when its object is `known`. Who is staged is decided here alone, in one step. */
  async #stage(digest: Digest, file: { path: string | undefined; size: number }, known: boolean): Promise<void> {
    const { path, size } = file;
    if (path !== undefined && known) rmSync(path);
    if (path !== undefined && !known) {
      this.#staged.set(digest, { path, size });
      this.#stagedBytes += size;
      this.added.count++;
      this.added.bytes += size;
    }
    while (this.#isFull()) {
      // The disk is slower than whoever adds: wait for it. Otherwise writing goes on beside reading.
      if (this.#committing.size > 0) await this.#flushed;
      else void this.flush();
    }
  }

  #isFull(): boolean {
    return this.#staged.size >= this.#options.flushObjects || this.#stagedBytes >= this.#options.flushBytes;
  }

  async #commit(objects: ReadonlyMap<Digest, StagedObject>): Promise<void> {
    if (objects.size === 0) return;
    const { onStep } = this.#options;
    this.#seal = await commitObjects({ pool: this.pool, objects, workers: this.#workers, onStep }, this.#seal);
    for (const digest of objects.keys()) this.#committing.delete(digest);
  }
}
