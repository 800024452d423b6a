/** Brings the images of a delta that is at hand, with their objects, into a pool. */
import type { Digest } from '../core/digest.ts';
import { ObjectBatch } from '../objects/ingest.ts';
import type { Pool } from '../objects/pool.ts';
import { type ApplyOptions, applyRecords } from './apply.ts';
import type { DeltaFile } from './delta-file.ts';
import { namedBy, planRecords } from './plan.ts';

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
  const images = new Map<Digest, Uint8Array>();
  for (const digest of delta.head.from) images.set(digest, await pool.readImage(digest));
  const rebuilt = await delta.head.rebuildImages(images);
  await using batch = await ObjectBatch.open(pool);
  const plan = planRecords(delta.head, namedBy(new Map([...images, ...rebuilt])), (digest) => batch.has(digest));
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
