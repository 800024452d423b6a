/** The work of a delta between published releases as jobs. It takes no key and no lock: readers of the repository can do it. */
import type { Progress } from '../core/progress.ts';
import type { JobResults } from '../delta/jobs/job-results.ts';
import type { RecordJob } from '../delta/jobs/record-job.ts';
import { type JobsDone, runJobs } from '../delta/jobs/run-jobs.ts';
import { planJobs } from '../delta/write.ts';
import { findReleases, readImages } from './delta-releases.ts';
import type { ReleaseReference } from './layout.ts';
import type { PublishedTargets } from './publish.ts';
import { RepositoryObjects } from './repository-objects.ts';
import { roleOfTarget } from './roles.ts';
import { readTarget, readView, requireRepository } from './view.ts';

export interface PlanDeltaOptions {
  readonly directory: string;
  readonly from: readonly ReleaseReference[];
  readonly to: readonly ReleaseReference[];
  /** 1 (fastest) to 9 (smallest). */
  readonly effort: number;
  /** As `makerOf` gives it. */
  readonly maker: string;
  /** A directory for temporary files, with room for the largest objects. */
  readonly scratch: string;
  readonly progress: Progress;
}

/** @throws OsupdError `not-found` for a release that is not published; `damaged-repository`. */
export async function planDeltaJobs(options: PlanDeltaOptions): Promise<RecordJob[]> {
  const { directory, effort, maker, scratch, progress } = options;
  const targets = await openTargets(directory);
  const imagesOf = async (releases: readonly ReleaseReference[]) =>
    readImages(directory, await findReleases(targets, releases));
  const store = new RepositoryObjects(directory, scratch);
  const [from, to] = [await imagesOf(options.from), await imagesOf(options.to)];
  return planJobs({ from, to, store, progress }, effort, maker);
}

export interface RunDeltaJobsOptions {
  readonly directory: string;
  readonly jobs: readonly RecordJob[];
  readonly results: JobResults;
  /** A directory for temporary files, with room for the largest objects and for all results. */
  readonly scratch: string;
  readonly progress: Progress;
}

/** @throws OsupdError as {@link runJobs}; `damaged-repository` for an object that is not there. */
export async function runDeltaJobs({ directory, ...options }: RunDeltaJobsOptions): Promise<JobsDone> {
  await requireRepository(directory);
  return runJobs({ ...options, store: new RepositoryObjects(directory, options.scratch) });
}

/** What is published now. */
async function openTargets(directory: string): Promise<PublishedTargets> {
  await requireRepository(directory);
  const { delegated } = await readView(directory);
  return {
    directory,
    async readTarget(target) {
      const info = delegated[roleOfTarget(target)].signed.targets[target];
      return info === undefined ? undefined : readTarget(directory, target, info);
    },
  };
}
