/** Frees what is not needed in a pool: garbage collection. What is needed, the caller says. */
import { rmSync, statSync } from 'node:fs';
import type { Digest } from '../core/digest.ts';
import { toOsupdError } from '../core/errors.ts';
import { noProgress, type Progress } from '../core/progress.ts';
import { syncDirectory } from '../sys/durable.ts';
import type { Amount } from './ingest.ts';
import type { Pool } from './pool.ts';
import { abandonedAreas, lockOutWriters } from './staging.ts';

/** What must stay; every object that a kept image names must be in `objects`. */
export interface Keep {
  readonly images: ReadonlySet<Digest>;
  readonly objects: ReadonlySet<Digest>;
}

export interface SweepOptions {
  /** Count what would go, but remove nothing. */
  readonly dryRun?: boolean;
  readonly progress?: Progress;
}

/** What went, or would go. */
export interface SweepResult {
  readonly images: Amount;
  readonly objects: Amount;
}

/** Objects between two breaths of the event loop. */
const BREATH = 256;

/**
 * Removes every image and object that is not to be kept, and what dead writers left.
 * @throws OsupdError `busy` while a writer (a build, a pull) works on the pool: it may count on any object that is there.
 */
export async function sweep(pool: Pool, keep: Keep, options: SweepOptions = {}): Promise<SweepResult> {
  const { dryRun = false, progress = noProgress } = options;
  using _lock = dryRun ? undefined : lockOutWriters(pool.stagingDirectory);
  if (!dryRun) for (const area of abandonedAreas(pool.stagingDirectory)) area.remove();
  // Images first, and durably: none may be there after a power cut when its objects are not (I1).
  const images = await sweepImages(pool, keep.images, dryRun);
  const objects = await sweepObjects(pool, keep.objects, dryRun, progress);
  return { images, objects };
}

async function sweepImages(pool: Pool, keep: ReadonlySet<Digest>, dryRun: boolean): Promise<Amount> {
  const swept: Amount = { count: 0, bytes: 0 };
  for (const digest of await pool.listImages()) {
    if (keep.has(digest)) continue;
    const path = pool.imagePath(digest);
    swept.count++;
    swept.bytes += statSync(path).size;
    if (!dryRun) removeFile(path);
  }
  if (!dryRun && swept.count > 0) syncDirectory(pool.imagesDirectory);
  return swept;
}

async function sweepObjects(
  pool: Pool,
  keep: ReadonlySet<Digest>,
  dryRun: boolean,
  progress: Progress,
): Promise<Amount> {
  const step = 'sweep objects';
  const swept: Amount = { count: 0, bytes: 0 };
  progress({ kind: 'start', step, unit: 'items' });
  let seen = 0;
  for await (const { digest, size } of pool.listObjects()) {
    if (++seen % BREATH === 0) {
      progress({ kind: 'advance', step, done: seen });
      await new Promise(setImmediate);
    }
    if (keep.has(digest)) continue;
    swept.count++;
    swept.bytes += size;
    if (!dryRun) removeFile(pool.objectPath(digest));
  }
  progress({ kind: 'finish', step, done: seen });
  return swept;
}

function removeFile(path: string): void {
  try {
    rmSync(path);
  } catch (error) {
    throw toOsupdError(error, path);
  }
}
