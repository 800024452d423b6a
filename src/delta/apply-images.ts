/** Brings the images of a delta that is at hand, with their objects, into a pool. */
import type { Digest } from '../core/digest.ts';
import { WorkerPool, workerModule } from '../core/workers.ts';
import { ObjectBatch } from '../objects/ingest.ts';
import type { Pool } from '../objects/pool.ts';
import { returnFreedMemory } from '../sys/memory.ts';
import { type ApplyOptions, applyRecords } from './apply.ts';
import type { DeltaFile } from './delta-file.ts';
import type { PlanJob, PlannedDelta } from './plan-worker.ts';

export interface Applied {
  /** Images that the pool did not have before. */
  readonly images: readonly Digest[];
  /** Objects that the pool did not have before. */
  readonly added: { readonly count: number; readonly bytes: number };
  /** Bytes of the payload that were read. */
  readonly read: number;
}

/**
 * Applies a delta. What is complete when it is interrupted stays, and is not read again the next time.
 * @throws OsupdError `not-found` when the pool lacks a from-image; as {@link applyRecords}.
 */
export async function applyToPool(delta: DeltaFile, pool: Pool, options: ApplyOptions): Promise<Applied> {
  await using batch = await ObjectBatch.open(pool);
  const { images: rebuilt, plan } = await planOnThread(delta, pool);
  try {
    await applyRecords(plan, delta.read, batch, options);
  } finally {
    // What is complete stays, whatever stopped the rest; and images come after their objects are durable.
    await batch.flush();
  }
  const added: Digest[] = [];
  for (const [digest, bytes] of rebuilt) {
    if (!pool.hasImage(digest)) added.push(digest);
    await pool.addImage(bytes, digest);
  }
  await batch.close();
  return { images: added, added: { ...batch.added }, read: plan.fetchBytes };
}

/** The runtime would take 48: a third of what the trees of a system need. */
const YOUNG_MEGABYTES = 6;

/** Trees take more memory than anything that comes after them. It is given back with the thread. */
async function planOnThread({ head }: DeltaFile, pool: Pool): Promise<PlannedDelta> {
  const threads = new WorkerPool<PlanJob, PlannedDelta>(workerModule(import.meta.url, './plan-worker'), {
    size: 1,
    youngMegabytes: YOUNG_MEGABYTES,
  });
  try {
    return await threads.run({ head: head.bytes, pool: pool.directory });
  } finally {
    await threads.close();
    returnFreedMemory();
  }
}
