/** Checks a whole pool: every object and image against its name, and every image against the objects it names (I1, I2). */
import type { Digest } from '../core/digest.ts';
import { OsupdError } from '../core/errors.ts';
import { noProgress, type Progress } from '../core/progress.ts';
import type { ObjectReference } from '../tree/references.ts';
import { checkContents, type ListedObject } from './check-contents.ts';
import { checkNames } from './check-names.ts';
import type { Amount } from './ingest.ts';
import { ObjectWorkers } from './object-workers.ts';
import type { Pool } from './pool.ts';
import type { Problem } from './problem.ts';
import { replacedInUse, replacedObjects } from './replaced-files.ts';
import { idleAreas, keepSweepsAway } from './staging.ts';

export interface CheckOptions {
  /** Objects that an image names. @throws OsupdError `damaged-image` */
  readonly readReferences: (image: Uint8Array, where: string) => readonly ObjectReference[];
  /** Images that must be there, for whatever reason the caller has. */
  readonly needed?: Iterable<Digest>;
  readonly progress?: Progress;
  readonly signal?: AbortSignal | undefined;
}

/** What was looked at. */
export interface Checked {
  readonly images: number;
  readonly objects: Amount;
}

/** What images say of an object. */
export interface NamedObject {
  readonly size: number;
  readonly images: Digest[];
}

/**
 * Reads everything in a pool, on all cores, and tells what is wrong, as it is found. Writers may work meanwhile.
 * @throws OsupdError `busy` while a sweep runs; `interrupted`; `io` when the pool's directories cannot be read.
 */
export async function* checkPool(pool: Pool, options: CheckOptions): AsyncGenerator<Problem, Checked> {
  using _lock = keepSweepsAway(pool.stagingDirectory);
  const named = new Map<Digest, NamedObject>();
  const images = yield* checkImages(pool, options, named);
  const objects: ListedObject[] = [];
  for (const { problem, object } of checkNames(pool, named)) {
    stopIfAborted(options.signal);
    if (problem !== undefined) yield problem;
    if (object !== undefined) objects.push(object);
  }
  const found = new Set(objects.map(({ digest }) => digest));
  for (const [digest, { size, images: namedBy }] of named) {
    if (found.has(digest) || pool.hasObject(digest)) continue;
    const path = relative(pool, pool.objectPath(digest));
    yield { type: 'missing-object', path, digest, size, detail: 'the object is missing', images: namedBy };
  }
  const workers = new ObjectWorkers();
  try {
    yield* checkContents(objects, named, workers, options);
  } finally {
    await workers.close();
  }
  for (const directory of idleAreas(pool.stagingDirectory)) {
    const detail = 'unfinished work of a process that died; the next build or pull finishes it';
    yield { type: 'leftover', path: relative(pool, directory), detail, images: [] };
  }
  yield* stillRead(pool);
  return { images, objects: { count: objects.length, bytes: objects.reduce((sum, { size }) => sum + size, 0) } };
}

function* stillRead(pool: Pool): Generator<Problem> {
  const staging = pool.stagingDirectory;
  for (const digest of replacedInUse(staging, 'images', { dryRun: true })) {
    const detail = 'it was repaired, but a mount keeps the old file until it is switched';
    yield { type: 'still-read', path: relative(pool, pool.imagePath(digest)), digest, detail, images: [] };
  }
  for (const digest of replacedObjects(staging)) {
    const detail = 'it was repaired, but what had it open reads the old content';
    yield { type: 'still-read', path: relative(pool, pool.objectPath(digest)), digest, detail, images: [] };
  }
}

async function* checkImages(
  pool: Pool,
  options: CheckOptions,
  named: Map<Digest, NamedObject>,
): AsyncGenerator<Problem, number> {
  const { readReferences, needed = [], progress = noProgress, signal } = options;
  const present = await pool.listImages();
  for (const digest of new Set(needed)) {
    if (present.includes(digest)) continue;
    const path = relative(pool, pool.imagePath(digest));
    yield { type: 'missing-image', path, digest, detail: 'the image is missing', images: [digest] };
  }
  const step = 'check images';
  progress({ kind: 'start', step, total: present.length, unit: 'items' });
  for (const [at, digest] of present.entries()) {
    stopIfAborted(signal);
    try {
      const where = pool.imagePath(digest);
      for (const reference of readReferences(await pool.readImage(digest), where)) addName(named, reference, digest);
    } catch (error) {
      yield imageProblem(pool, digest, error);
    }
    progress({ kind: 'advance', step, done: at + 1 });
  }
  progress({ kind: 'finish', step, done: present.length });
  return present.length;
}

function addName(named: Map<Digest, NamedObject>, { digest, size }: ObjectReference, image: Digest): void {
  const before = named.get(digest);
  if (before === undefined) named.set(digest, { size, images: [image] });
  else before.images.push(image);
}

/** The problem with an image that could not be read. @throws `error` where it says nothing of the image. */
export function imageProblem(pool: Pool, digest: Digest, error: unknown): Problem {
  if (!(error instanceof OsupdError)) throw error;
  const type = error.code === 'damaged-image' ? 'damaged-image' : 'changed-image';
  if (type === 'changed-image' && error.code !== 'damaged-store' && error.code !== 'io') throw error;
  return { type, path: relative(pool, pool.imagePath(digest)), digest, detail: error.message, images: [digest] };
}

function relative(pool: Pool, path: string): string {
  return path.slice(pool.directory.length + 1);
}

function stopIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new OsupdError('interrupted', 'stopped before everything was checked');
}
