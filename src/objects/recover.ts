/** What a dead writer left in a pool: finished objects are kept, everything else goes. */
import { renameSync } from 'node:fs';
import { basename } from 'node:path';
import type { Digest } from '../core/digest.ts';
import type { StagedObject } from './commit.ts';
import { inJobs, type ObjectWorkers } from './object-workers.ts';
import type { Pool } from './pool.ts';
import { stagedDigest, stagedName } from './staged-file.ts';
import { abandonedAreas, type StagingArea } from './staging.ts';

const HASH_JOB_FILES = 16;

/**
 * Moves the complete objects of abandoned areas into `area`; their content is checked, for a name says only what a file
 * was meant to hold. Removes the areas.
 */
export async function recoverStaged(
  pool: Pool,
  area: StagingArea,
  workers: ObjectWorkers,
): Promise<Map<Digest, StagedObject>> {
  const recovered = new Map<Digest, StagedObject>();
  for (const abandoned of abandonedAreas(pool.stagingDirectory)) {
    const named = abandoned.files().filter((path) => stagedDigest(basename(path)) !== undefined);
    const take = async (paths: string[]) => {
      const hashed = await workers.hash(paths);
      for (const [at, path] of paths.entries()) {
        const { digest, size = 0 } = hashed[at] ?? {};
        if (digest === undefined || digest !== stagedDigest(basename(path)) || pool.hasObject(digest, size)) continue;
        const taken = stagedName(area.newPath('recovered'), digest);
        renameSync(path, taken);
        recovered.set(digest, { path: taken, size });
      }
    };
    await Promise.all([...inJobs(named, HASH_JOB_FILES)].map(take));
    abandoned.remove();
  }
  return recovered;
}
