/**
 * From staged to committed: the durability recipe for many objects at once. One syncfs for all contents, then fs-verity,
 * then the names, then the names made durable.
 */
import { renameSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Digest } from '../core/digest.ts';
import { isSystemError, toOsupdError } from '../core/errors.ts';
import { inJobs, type ObjectWorkers } from './object-workers.ts';
import { makeDirectory, type Pool } from './pool.ts';

/** What has just been done; a power cut between any two leaves a good pool (docs/pool.md). */
export type CommitStep = 'staged' | 'contents-synced' | 'sealed' | 'renamed' | 'committed';

const SEAL_JOB_FILES = 64;

/** A complete object that has no name in the pool yet. */
export interface StagedObject {
  readonly path: string;
  readonly size: number;
}

export interface Commit {
  readonly pool: Pool;
  readonly objects: ReadonlyMap<Digest, StagedObject>;
  readonly workers: ObjectWorkers;
  readonly onStep: (step: CommitStep) => void;
}

/** @returns false when the file system has no fs-verity: the next commit need not try. */
export async function commitObjects(commit: Commit, seal: boolean): Promise<boolean> {
  const { pool, objects, workers, onStep } = commit;
  onStep('staged');
  await workers.sync(pool.directory);
  onStep('contents-synced');
  const sealed = seal && (await sealObjects(commit));
  onStep('sealed');
  for (const [digest, { path }] of objects) renameIntoPlace(path, pool.objectPath(digest));
  onStep('renamed');
  // One syncfs here too: measured on ext4, a sync of each directory takes as long for one, and 20 times as long for 16.
  await workers.sync(pool.directory);
  onStep('committed');
  return sealed;
}

async function sealObjects({ objects, workers }: Commit): Promise<boolean> {
  const [first, ...rest] = [...objects.values()].map(({ path }) => path);
  if (first === undefined || !(await workers.seal([first]))) return false;
  await Promise.all([...inJobs(rest, SEAL_JOB_FILES)].map((paths) => workers.seal(paths)));
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
