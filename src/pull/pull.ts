/** Brings images and their objects from a repository into a pool: plan, forecast, download, check, add. */
import { OsupdError } from '../core/errors.ts';
import { noProgress, type Progress } from '../core/progress.ts';
import { applyRecords } from '../delta/apply.ts';
import { ObjectBatch } from '../objects/ingest.ts';
import type { Pool } from '../objects/pool.ts';
import type { Release } from '../repository/release.ts';
import type { CountingSource } from '../transport/counting.ts';
import { DownloadCache } from './download-cache.ts';
import { type ImagePlan, planImage } from './image-plan.ts';
import { leaveDelta, type PlanContext } from './plan-context.ts';
import { RepositoryFiles } from './repository-files.ts';
import { fetchObjects } from './single-objects.ts';
import { checkSpace, poolHasVerity, type SpaceNeed, spaceFor } from './space.ts';
import type { Trust } from './trust.ts';

export interface PullJob {
  readonly pool: Pool;
  readonly trust: Trust;
  readonly source: CountingSource;
  /** The releases whose images are wanted; those that the pool has cost nothing. */
  readonly releases: readonly Release[];
  readonly progress: Progress;
  readonly signal?: AbortSignal;
  /** Told the plan before anything of it is done. */
  readonly onPlan?: (plan: PullPlan) => void;
}

/** What a pull will do and cost. */
export interface PullPlan {
  readonly images: readonly ImagePlan[];
  /** Bytes that making the plan has downloaded; they are kept, and not downloaded again. */
  readonly planning: number;
  /** Bytes that are still to be downloaded. */
  readonly bytes: number;
  readonly requests: number;
  /** What it takes of the pool's file system. */
  readonly space: SpaceNeed;
}

export interface PullSummary extends PullPlan {
  /** Bytes that were downloaded in all. */
  readonly downloaded: number;
  /** Objects that are new in the pool. */
  readonly added: { readonly count: number; readonly bytes: number };
  /** Objects that an earlier, interrupted pull had finished. */
  readonly recovered: { readonly count: number; readonly bytes: number };
}

/**
 * Finds out what {@link pull} would do. Heads of deltas that decide it are downloaded and kept for the pull.
 * @throws OsupdError `not-found`, `verification-failed`, `network`
 */
export function planPull(job: PullJob): Promise<PullPlan> {
  return makePlan(
    job,
    openContext(job, (digest, size) => job.pool.hasObject(digest, size)),
  );
}

/**
 * Brings all images that are missing. It can be interrupted at any instant: what is complete stays, and the next call goes on
 * from there. A delta that turns out bad is left, and another way taken.
 * @throws OsupdError `no-space` before any content is fetched; `verification-failed`, `not-found`, `network`, `interrupted`
 */
export async function pull(job: PullJob): Promise<PullSummary> {
  const before = job.source.bytes;
  // What a pull that was killed had finished counts as there.
  const batch = await ObjectBatch.open(job.pool);
  const context = openContext(job, (digest, size) => batch.has(digest, size));
  try {
    const plan = await makePlan(job, context);
    job.onPlan?.(plan);
    checkSpace(job.pool, plan.space);
    await download(plan, batch, job, context);
    await batch.close();
    context.cache.clear();
    const { added, recovered } = batch;
    return { ...plan, downloaded: job.source.bytes - before, added, recovered };
  } catch (error) {
    await keepFinished(batch);
    throw error;
  }
}

interface PullContext extends PlanContext {
  readonly cache: DownloadCache;
}

function openContext({ pool, trust, source, progress, signal }: PullJob, has: PlanContext['has']): PullContext {
  const cache = new DownloadCache(pool.stagingDirectory);
  const files = new RepositoryFiles(source, cache, signal);
  return { pool, trust, files, cache, has, objects: new Map(), bad: new Set(), progress };
}

async function makePlan(job: PullJob, context: PlanContext): Promise<PullPlan> {
  const before = job.source.bytes;
  const images: ImagePlan[] = [];
  const coming = new Set<string>();
  const has: PlanContext['has'] = (digest, size) => coming.has(digest) || context.has(digest, size);
  for (const release of job.releases) {
    const { digest } = release.image;
    if (job.pool.hasImage(digest) || images.some(({ release: { image } }) => image.digest === digest)) continue;
    const plan = await planImage(release, { ...context, has });
    for (const object of plan.missing) coming.add(object.digest);
    images.push(plan);
  }
  const verity = images.length > 0 && (await poolHasVerity(job.pool));
  return {
    images,
    planning: job.source.bytes - before,
    bytes: images.reduce((sum, { way }) => sum + way.bytes, 0),
    requests: images.reduce((sum, { way }) => sum + way.requests, 0),
    space: spaceFor(
      job.pool,
      newObjects(images),
      images.map(({ image }) => ({ size: image.length })),
      verity,
    ),
  };
}

/** Everything that will be written: the images' objects, and what only a step of a chain needs. */
function newObjects(images: readonly ImagePlan[]) {
  const objects = images.flatMap(({ missing, steps }) => [...missing, ...steps.flatMap(({ plan }) => plan.objects)]);
  return [...new Map(objects.map((object) => [object.digest, object])).values()];
}

async function download(plan: PullPlan, batch: ObjectBatch, job: PullJob, context: PlanContext): Promise<void> {
  const step = 'download';
  const { source, progress, pool } = job;
  const base = source.bytes;
  progress({ kind: 'start', step, total: plan.bytes, unit: 'bytes' });
  source.onBytes = (bytes) => progress({ kind: 'advance', step, done: bytes - base });
  try {
    for (const image of plan.images) {
      await bringImage(image, batch, job, context);
      // I1: its objects are durable before an image is there.
      await batch.flush();
      await pool.addImage(image.image, image.release.image.digest);
    }
  } finally {
    source.onBytes = () => {};
  }
  progress({ kind: 'finish', step, done: source.bytes - base });
}

/** Brings the objects of one image; a way that fails because of a delta is given up for the next best. */
async function bringImage(first: ImagePlan, batch: ObjectBatch, job: PullJob, context: PlanContext): Promise<void> {
  for (let plan = first; ; plan = await planImage(plan.release, context)) {
    if (!(await applySteps(plan, batch, job, context))) continue;
    await fetchObjects(plan.singles, context.files, batch);
    const lost = plan.missing.find(({ digest, size }) => !batch.has(digest, size));
    if (lost === undefined) return;
    throw new OsupdError('internal', `object ${lost.digest} was planned but did not come`);
  }
}

/** Applies the deltas of a plan; false when one of them is bad. */
async function applySteps(plan: ImagePlan, batch: ObjectBatch, job: PullJob, context: PlanContext): Promise<boolean> {
  for (const { entry, plan: records } of plan.steps) {
    try {
      // The download's progress counts the same bytes.
      const options = { progress: noProgress, ...(job.signal === undefined ? {} : { signal: job.signal }) };
      await applyRecords(records, (range) => context.files.range(entry, range), batch, options);
    } catch (error) {
      leaveDelta(entry, error, context);
      return false;
    }
  }
  return true;
}

/** After a failure: objects that are complete are committed, so that nothing is fetched twice. */
async function keepFinished(batch: ObjectBatch): Promise<void> {
  try {
    await batch.close();
  } catch {
    // The first failure is what the user must know; staged objects are picked up by the next pull.
    await batch.abort();
  }
}
