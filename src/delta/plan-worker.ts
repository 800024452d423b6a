/** Makes the images of a delta and plans its records, on a thread of its own. */
import type { Digest } from '../core/digest.ts';
import { serveJobs } from '../core/workers.ts';
import { Pool } from '../objects/pool.ts';
import { objectsOf } from '../tree/references.ts';
import { readHead } from './head.ts';
import { type DeltaPlan, planRecords } from './plan.ts';

export interface PlanJob {
  /** The bytes of the delta's head. */
  readonly head: Uint8Array;
  /** The pool's directory. */
  readonly pool: string;
}

export interface PlannedDelta {
  /** The to-images, checked. */
  readonly images: ReadonlyMap<Digest, Uint8Array>;
  readonly plan: DeltaPlan;
}

serveJobs(plan);

async function plan({ head: bytes, pool: directory }: PlanJob): Promise<PlannedDelta> {
  const head = readHead(bytes);
  const pool = await Pool.open(directory);
  const from = new Map<Digest, Uint8Array>();
  for (const digest of head.from) from.set(digest, await pool.readImage(digest));
  const known = await head.rebuildTrees(from);
  const named = (image: Digest) => objectsOf(known.get(image)!.tree);
  return {
    images: new Map(head.to.map((digest) => [digest, known.get(digest)!.bytes])),
    plan: planRecords(head, named, (digest) => pool.hasObject(digest)),
  };
}
