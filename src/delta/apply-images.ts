/** Brings the images of a delta that is at hand, with their objects, into a pool. */
import type { Digest } from '../core/digest.ts';
import { ObjectBatch } from '../objects/ingest.ts';
import type { Pool } from '../objects/pool.ts';
import { type ApplyOptions, applyRecords } from './apply.ts';
import type { DeltaFile } from './delta-file.ts';
import { planRecords } from './plan.ts';
import { rebuildImages } from './rebuild.ts';

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
  const { head } = delta;
  const from = new Map<Digest, Uint8Array>();
  for (const digest of head.from) from.set(digest, await pool.readImage(digest));
  const { images: rebuilt, objects } = await rebuildImages(head, from);
  from.clear();
  const plan = planRecords(
    head,
    (image) => objects.get(image)!,
    (digest) => pool.hasObject(digest),
  );
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
