/** What a dead writer left in a pool: finished objects are kept, everything else goes. */
import { renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type Digest, isDigest } from '../core/digest.ts';
import { inJobs, type ObjectWorkers } from './object-workers.ts';
import type { Pool } from './pool.ts';
import { abandonedAreas, type StagingArea } from './staging.ts';

const HASH_JOB_FILES = 16;

/**
 * Moves the complete objects of abandoned areas into `area`; their content is checked, for after a power cut a file can
 * have its name and not its bytes.
 * @returns sizes of the recovered objects.
 */
export async function recoverStaged(
  pool: Pool,
  area: StagingArea,
  workers: ObjectWorkers,
): Promise<Map<Digest, number>> {
  const recovered = new Map<Digest, number>();
  for (const abandoned of abandonedAreas(pool.stagingDirectory)) {
    const digests = abandoned.list().filter(isDigest);
    const pathOf = (digest: Digest) => join(abandoned.directory, digest);
    await Promise.all(
      [...inJobs(digests, HASH_JOB_FILES)].map(async (job) => {
        const hashed = await workers.hash(job.map(pathOf));
        job.forEach((digest, at) => {
          if (hashed[at]?.digest !== digest) return;
          renameSync(pathOf(digest), join(area.directory, digest));
          recovered.set(digest, statSync(join(area.directory, digest)).size);
        });
      }),
    );
    abandoned.remove();
  }
  return recovered;
}
