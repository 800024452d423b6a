/** What can be mended in a pool with nothing but the pool itself. */
import { chmodSync, chownSync, existsSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Digest } from '../core/digest.ts';
import { toOsupdError } from '../core/errors.ts';
import { syncFileSystem } from '../sys/durable.ts';
import { hashFiles } from './hash-files.ts';
import { ObjectBatch } from './ingest.ts';
import { makeDirectory, type Pool } from './pool.ts';
import type { Problem } from './problem.ts';
import { keepWhileUsed, settleReplacedObjects } from './replaced-files.ts';
import { OBJECT_MODE } from './staged-file.ts';
import { lockOutWriters } from './staging.ts';

/**
 * Gives objects their mode, owner and place back, removes damaged ones that no image names and damaged images that are not
 * `needed`, and finishes the work of dead writers. What must be fetched stays as it is, and so does what is not of osupd.
 * @throws OsupdError `busy` while a writer works on the pool; `io`, for example where the owner may not be changed.
 */
export async function mendPool(pool: Pool, problems: readonly Problem[], needed: ReadonlySet<Digest>): Promise<void> {
  {
    using _lock = lockOutWriters(pool.stagingDirectory);
    for (const problem of problems) {
      try {
        mend(pool, problem, needed);
      } catch (error) {
        throw toOsupdError(error, join(pool.directory, problem.path));
      }
    }
    settleReplacedObjects(pool.stagingDirectory);
    syncFileSystem(pool.directory);
  }
  if (problems.some(({ type }) => type === 'leftover')) await (await ObjectBatch.open(pool)).close();
}

function mend(pool: Pool, { type, path, digest, images }: Problem, needed: ReadonlySet<Digest>): void {
  const fullPath = join(pool.directory, path);
  switch (type) {
    case 'wrong-mode':
      chmodSync(fullPath, modeOf(fullPath, path));
      break;
    case 'wrong-owner': {
      const { uid, gid } = statSync(pool.objectsDirectory);
      chownSync(fullPath, uid, gid);
      break;
    }
    case 'misplaced-object':
      if (digest !== undefined) putInPlace(fullPath, pool.objectPath(digest), digest);
      break;
    case 'truncated-object':
    case 'changed-object':
    case 'unreadable-object':
      if (images.length === 0) rmSync(fullPath, { force: true });
      break;
    case 'changed-image':
    case 'damaged-image':
      if (digest !== undefined && !needed.has(digest)) {
        keepWhileUsed(pool.stagingDirectory, 'images', digest, fullPath);
        rmSync(fullPath, { force: true });
      }
      break;
    default:
      break;
  }
}

/** `objects`, `images` and `staging` are their owner's alone; the directories below are covered by them. */
function modeOf(fullPath: string, path: string): number {
  if (!statSync(fullPath).isDirectory()) return OBJECT_MODE;
  return path.includes('/') ? 0o755 : 0o700;
}

/** Moves an object to its place when it is good and missed there, else removes it. */
function putInPlace(from: string, to: string, digest: Digest): void {
  const [hashed] = hashFiles([from]);
  if (hashed?.digest !== digest || existsSync(to)) {
    rmSync(from, { recursive: true, force: true });
    return;
  }
  syncFileSystem(from);
  makeDirectory(dirname(to));
  renameSync(from, to);
}
