/**
 * From staged to committed: the durability recipe for many objects at once. One syncfs for all contents, then fs-verity,
 * then the names, then the names made durable.
 */
import { renameSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Digest } from '../core/digest.ts';
import { isSystemError, toOsupdError } from '../core/errors.ts';
import { inJobs, type ObjectWorkers } from './object-workers.ts';
import { makeDirectory } from './pool.ts';

/** What has just been done; a power cut between any two leaves a good pool (docs/pool.md). */
export type CommitStep = 'staged' | 'contents-synced' | 'sealed' | 'renamed' | 'committed';

const SEAL_JOB_FILES = 64;

export interface Commit {
  readonly digests: readonly Digest[];
  readonly stagedPath: (digest: Digest) => string;
  readonly objectPath: (digest: Digest) => string;
  /** A directory of the pool's file system. */
  readonly directory: string;
  readonly workers: ObjectWorkers;
  readonly onStep: (step: CommitStep) => void;
}

/** @returns false when the file system has no fs-verity: the next commit need not try. */
export async function commitObjects(commit: Commit, seal: boolean): Promise<boolean> {
  const { digests, workers, onStep } = commit;
  onStep('staged');
  await workers.sync(commit.directory);
  onStep('contents-synced');
  const sealed = seal && (await sealObjects(commit));
  onStep('sealed');
  for (const digest of digests) renameIntoPlace(commit.stagedPath(digest), commit.objectPath(digest));
  onStep('renamed');
  await workers.sync(commit.directory);
  onStep('committed');
  return sealed;
}

async function sealObjects({ digests, stagedPath, workers }: Commit): Promise<boolean> {
  const first = digests[0];
  if (first === undefined || !(await workers.seal([stagedPath(first)]))) return false;
  const jobs = [...inJobs(digests.slice(1).map(stagedPath), SEAL_JOB_FILES)];
  await Promise.all(jobs.map((paths) => workers.seal(paths)));
  return true;
}

/** Over whatever has the name: an object of that name has the same content, or is damaged. */
function renameIntoPlace(from: string, to: string): void {
  try {
    try {
      renameSync(from, to);
    } catch (error) {
      if (!isSystemError(error, 'ENOENT')) throw error;
      makeDirectory(dirname(to));
      renameSync(from, to);
    }
  } catch (error) {
    throw toOsupdError(error, to);
  }
}
