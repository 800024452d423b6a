/**
 * Reads everything in a pool little by little, for file systems without fs-verity, and compares it with its name. A round may
 * take many runs: each goes on where the last one stopped. It takes no lock, so that it is in nobody's way.
 */
import { closeSync, readdirSync, readSync } from 'node:fs';
import { type Digest, isDigest } from '../../core/digest.ts';
import { isSystemError, OsupdError, toOsupdError } from '../../core/errors.ts';
import type { Progress } from '../../core/progress.ts';
import { decodeImage } from '../../image/read.ts';
import { imageProblem, type NamedObject } from '../../objects/check.ts';
import { problemOf } from '../../objects/check-contents.ts';
import { FsverityHasher } from '../../objects/fsverity.ts';
import type { HashedFile } from '../../objects/hash-files.ts';
import type { Pool } from '../../objects/pool.ts';
import type { Problem } from '../../objects/problem.ts';
import { formatTime } from '../../repository/json-fields.ts';
import { directBuffer, openDirect } from '../../sys/direct-read.ts';
import { makeWay } from '../../sys/priority.ts';
import type { RateClock } from '../../transport/rate-limit.ts';
import { waitFor } from '../../transport/wait.ts';
import { objectsOf } from '../../tree/references.ts';
import type { DeviceRoot } from '../device.ts';
import { deployedImages } from './deployed-images.ts';
import { type IntegrityRecord, type RunningRound, readRecord, recorded, updateRecord } from './record.ts';

export interface BackgroundOptions {
  /** Bytes a second, at most. */
  readonly rate: number;
  /** Days without a new round after one has ended. */
  readonly every: number;
  readonly now: () => Date;
  /** Ends the run; what was read counts. */
  readonly signal?: AbortSignal | undefined;
  readonly progress: Progress;
  readonly clock?: RateClock;
}

/** What one run has done. */
export interface BackgroundRun {
  /** True when the round is complete; else the next run goes on. */
  readonly finished: boolean;
  readonly objects: number;
  readonly bytes: number;
  readonly problems: readonly Problem[];
}

const DAY_MS = 24 * 60 * 60 * 1000;
const READ_BYTES = 1 << 20;
/** What is read again at most after a power cut. */
const NOTE_BYTES = 256 << 20;
const STEP = 'verify';

const realClock: RateClock = { now: () => performance.now(), wait: waitFor };

/**
 * One run: to the end of the round, or until the signal.
 * @returns undefined when the last round is younger than `every` days.
 * @throws OsupdError `io`
 */
export async function verifyPool(device: DeviceRoot, options: BackgroundOptions): Promise<BackgroundRun | undefined> {
  const { now, every, progress } = options;
  const { running, verified } = readRecord(device.directory);
  const age = verified === undefined ? Number.POSITIVE_INFINITY : now().getTime() - Date.parse(verified.finishedAt);
  // A clock that was set back must not put the next round off for years.
  if (running === undefined && age >= 0 && age < every * DAY_MS) return undefined;
  makeWay();
  const begun = running ?? { startedAt: formatTime(now()), position: '', objects: 0, bytes: 0 };
  const run = new Run(device, begun, options);
  await run.checkImages();
  progress({ kind: 'start', step: STEP, unit: 'bytes' });
  const finished = await run.readObjects();
  progress({ kind: 'finish', step: STEP, done: run.bytes });
  await run.note(finished);
  return { finished, objects: run.objects, bytes: run.bytes, problems: run.problems };
}

class Run {
  readonly problems: Problem[] = [];
  objects = 0;
  bytes = 0;
  readonly #device: DeviceRoot;
  readonly #pool: Pool;
  readonly #begun: RunningRound;
  readonly #options: BackgroundOptions;
  readonly #pace: Pace;
  readonly #named = new Map<Digest, NamedObject>();
  readonly #buffer = directBuffer(READ_BYTES);
  #position: string;
  #noted = 0;

  constructor(device: DeviceRoot, begun: RunningRound, options: BackgroundOptions) {
    this.#device = device;
    this.#pool = device.pool;
    this.#begun = begun;
    this.#options = options;
    this.#pace = new Pace(options.rate, options.clock ?? realClock, options.signal);
    this.#position = begun.position;
  }

  /** All images, in each run: they are small, and say which objects there must be. */
  async checkImages(): Promise<void> {
    for (const digest of new Set([...(await this.#pool.listImages()), ...deployedImages(this.#device)])) {
      const path = this.#pool.imagePath(digest);
      try {
        const bytes = await this.#pool.readImage(digest);
        await this.#pace.take(bytes.length);
        for (const { digest: object, size } of objectsOf(decodeImage(bytes, path))) {
          const named = this.#named.get(object) ?? { size, images: [] };
          named.images.push(digest);
          this.#named.set(object, named);
        }
      } catch (error) {
        if (error instanceof OsupdError && error.code === 'interrupted') return;
        // Removed by a gc since it was listed, unless a deployment needs it.
        if (this.#pool.hasImage(digest)) this.problems.push(imageProblem(this.#pool, digest, error));
        else if (deployedImages(this.#device).has(digest))
          this.problems.push(missing('image', `images/${digest}`, digest));
      }
    }
    for (const [digest, { size, images }] of this.#named) {
      if (this.#pool.hasObject(digest) || !images.some((image) => this.#pool.hasImage(image))) continue;
      this.problems.push({ ...missing('object', relativePath(digest), digest), size, images });
    }
  }

  /** The objects behind the position, in the order of their digests. @returns false when the signal came. */
  async readObjects(): Promise<boolean> {
    for (const prefix of list(this.#pool.objectsDirectory, /^[0-9a-f]{2}$/)) {
      if (prefix < this.#position.slice(0, 2)) continue;
      for (const rest of list(`${this.#pool.objectsDirectory}/${prefix}`, /^[0-9a-f]{62}$/)) {
        const digest = prefix + rest;
        if (digest <= this.#position || !isDigest(digest)) continue;
        if (this.#options.signal?.aborted || !(await this.#readObject(digest as Digest))) return false;
        this.#position = digest;
        if (this.bytes - this.#noted >= NOTE_BYTES) await this.note(false);
      }
    }
    return true;
  }

  async #readObject(digest: Digest): Promise<boolean> {
    const path = relativePath(digest);
    const object = { digest, path, fullPath: this.#pool.objectPath(digest), size: 0 };
    let problem: Problem | undefined;
    try {
      const hashed = await this.#hash(object.fullPath);
      if (hashed.failure === 'ENOENT') return true;
      problem = problemOf(object, hashed, this.#named.get(digest));
      this.objects++;
    } catch (error) {
      if (error instanceof OsupdError && error.code === 'interrupted') return false;
      throw error;
    }
    if (problem !== undefined) this.problems.push(problem);
    return true;
  }

  async #hash(path: string): Promise<HashedFile> {
    const hasher = new FsverityHasher();
    try {
      const fd = openDirect(path);
      try {
        for (let count = READ_BYTES; count === READ_BYTES; ) {
          count = readSync(fd, this.#buffer, 0, READ_BYTES, hasher.size);
          hasher.update(this.#buffer.subarray(0, count));
          this.bytes += count;
          this.#options.progress({ kind: 'advance', step: STEP, done: this.bytes });
          await this.#pace.take(count);
        }
      } finally {
        closeSync(fd);
      }
      return { digest: hasher.digest(), size: hasher.size };
    } catch (error) {
      // The signal, in a pause: that says nothing of the object.
      if (error instanceof OsupdError) throw error;
      if (isSystemError(error)) return { size: 0, failure: error.code ?? error.message };
      throw toOsupdError(error, path);
    }
  }

  /** Writes down how far it came and what was found. */
  async note(finished: boolean): Promise<void> {
    this.#noted = this.bytes;
    const { startedAt } = this.#begun;
    const round = { startedAt, objects: this.#begun.objects + this.objects, bytes: this.#begun.bytes + this.bytes };
    await updateRecord(this.#device.directory, (record) => {
      // Somebody has read everything meanwhile: that knows more.
      if (record.verified !== undefined && record.verified.finishedAt > startedAt) return record;
      const { verified, running: _, ...rest } = { ...record, damaged: this.#damaged(record) };
      if (finished) return { ...rest, verified: { ...round, finishedAt: formatTime(this.#options.now()) } };
      return { ...rest, ...(verified && { verified }), running: { ...round, position: this.#position } };
    });
  }

  /** What was found, and what was known of objects that this run has not read. */
  #damaged(record: IntegrityRecord) {
    const wasRead = (path: string, digest: string): boolean =>
      !path.startsWith('objects/') || (digest > this.#begun.position && digest <= this.#position);
    const before = record.damaged.filter(
      ({ type, path, digest }) => type !== 'missing-object' && !wasRead(path, digest) && this.#pool.hasObject(digest),
    );
    return [...before, ...recorded(this.problems)];
  }
}

/** Keeps reading below a rate, on the average since the last pause. */
class Pace {
  readonly #rate: number;
  readonly #clock: RateClock;
  readonly #signal: AbortSignal | undefined;
  /** When, by the clock, all that was read will have had its time. */
  #paidUntil: number;

  constructor(rate: number, clock: RateClock, signal: AbortSignal | undefined) {
    this.#rate = rate;
    this.#clock = clock;
    this.#signal = signal;
    this.#paidUntil = clock.now();
  }

  /** @throws OsupdError `interrupted` when the signal comes. */
  async take(bytes: number): Promise<void> {
    const now = this.#clock.now();
    this.#paidUntil = Math.max(this.#paidUntil, now) + (bytes / this.#rate) * 1000;
    if (this.#paidUntil - now >= MIN_PAUSE_MS) await this.#clock.wait(this.#paidUntil - now, this.#signal);
  }
}

/** Shorter pauses are put together. */
const MIN_PAUSE_MS = 20;

function missing(what: 'image' | 'object', path: string, digest: Digest): Problem {
  return {
    type: `missing-${what}`,
    path,
    digest,
    detail: `the ${what} is missing`,
    images: what === 'image' ? [digest] : [],
  };
}

function relativePath(digest: Digest): string {
  return `objects/${digest.slice(0, 2)}/${digest.slice(2)}`;
}

function list(directory: string, pattern: RegExp): string[] {
  try {
    return readdirSync(directory)
      .filter((name) => pattern.test(name))
      .sort();
  } catch (error) {
    if (isSystemError(error, 'ENOENT') || isSystemError(error, 'ENOTDIR')) return [];
    throw toOsupdError(error, directory);
  }
}
