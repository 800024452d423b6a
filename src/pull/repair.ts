/** Mends a pool: fetches exactly what is damaged or missing, checks it, and puts it in place of what was there. */
import type { Digest } from '../core/digest.ts';
import { type ErrorCode, OsupdError } from '../core/errors.ts';
import type { Progress } from '../core/progress.ts';
import { ObjectBatch } from '../objects/ingest.ts';
import type { Pool } from '../objects/pool.ts';
import { keepName, settleReplacedObjects } from '../objects/replaced-files.ts';
import type { Source } from '../transport/source.ts';
import type { ObjectReference } from '../tree/references.ts';
import { DownloadCache } from './download-cache.ts';
import { RepositoryFiles } from './repository-files.ts';
import { fetchObjects } from './single-objects.ts';

/** What is damaged or missing. The digests are those that deployments and images name, so nothing else needs a signature. */
export interface Repairs {
  readonly images: readonly Digest[];
  readonly objects: readonly ObjectReference[];
}

export interface Repaired {
  /** Objects and images that the repository does not have, or has damaged. */
  readonly failed: readonly { readonly digest: Digest; readonly message: string }[];
  /** Objects that processes have open, and so read as they were before. */
  readonly stillRead: readonly Digest[];
}

export interface RepairOptions {
  readonly pool: Pool;
  readonly source: Source;
  readonly progress: Progress;
  readonly signal?: AbortSignal;
}

/**
 * Fetches images and objects and replaces what is under their names, each in one step. Objects come first: an image is
 * there only when its objects are (I1).
 * What the repository no longer has stays as it is, and the rest is mended all the same.
 * @throws OsupdError `network`, `no-space`
 */
export async function repairPool(
  repairs: Repairs,
  { pool, source, progress, signal }: RepairOptions,
): Promise<Repaired> {
  const files = new RepositoryFiles(source, new DownloadCache(pool.stagingDirectory), signal);
  const step = 'repair';
  const replaced = repairs.objects.filter(({ digest }) => pool.hasObject(digest));
  let done = 0;
  const advance = () => progress({ kind: 'advance', step, done: ++done });
  progress({ kind: 'start', step, total: repairs.objects.length + repairs.images.length, unit: 'items' });
  const failed: { digest: Digest; message: string }[] = [];
  const leaves = (digest: Digest, failure: unknown): boolean => {
    if (!(failure instanceof OsupdError) || !NOT_TO_BE_HAD.includes(failure.code)) return false;
    failed.push({ digest, message: failure.message });
    return true;
  };
  const batch = await ObjectBatch.open(pool);
  try {
    // The kernel is asked by these names who still has the old file.
    for (const { digest } of replaced) keepName(pool.stagingDirectory, 'objects', digest, pool.objectPath(digest));
    await fetchObjects(repairs.objects, files, batch, advance, ({ digest }, failure) => leaves(digest, failure));
  } finally {
    // What came before a failure is good.
    await batch.close();
  }
  for (const digest of repairs.images) {
    try {
      await pool.addImage(await files.imageByDigest(digest), digest);
    } catch (error) {
      if (!leaves(digest, error)) throw error;
    }
    advance();
  }
  progress({ kind: 'finish', step, done });
  return { failed, stillRead: settleReplacedObjects(pool.stagingDirectory) };
}

/** The repository does not have it any more, or has other content under the name. */
const NOT_TO_BE_HAD: readonly ErrorCode[] = ['not-found', 'verification-failed', 'damaged-repository'];
