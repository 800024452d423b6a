/** Does jobs of a plan. */
import { OsupdError } from '../../core/errors.ts';
import type { Progress } from '../../core/progress.ts';
import { throwFirstFailure } from '../encode-groups.ts';
import { Encoder } from '../encoder.ts';
import type { ObjectReader } from '../object-reader.ts';
import { Spool } from '../spool.ts';
import { sum } from '../total-size.ts';
import type { JobResults } from './job-results.ts';
import { groupOf, type RecordJob } from './record-job.ts';

export interface RunJobsOptions {
  readonly jobs: readonly RecordJob[];
  /** Has the objects of all jobs. */
  readonly store: ObjectReader;
  /** Where results go. A job whose result is there is not done again. */
  readonly results: JobResults;
  /** A directory with room for the results. */
  readonly scratch: string;
  /** Number of threads; all cores by default. */
  readonly workers?: number;
  readonly progress: Progress;
}

export interface JobsDone {
  readonly made: number;
  /** Jobs whose results were there already. */
  readonly present: number;
}

/** Jobs that are at work at the same time: while one is read or written, another is encoded. */
const RUNNERS_A_THREAD = 2;

/** @throws OsupdError `usage` for jobs that another version of osupd has planned; what the store throws. */
export async function runJobs(options: RunJobsOptions): Promise<JobsDone> {
  const { jobs, results, progress } = options;
  for (const { maker } of jobs) if (maker !== results.maker) throw otherMaker(maker, results.maker);
  const step = 'encode';
  progress({ kind: 'start', step, unit: 'bytes', total: sum(jobs.map(({ bytes }) => bytes)) });
  let done = 0;
  let made = 0;
  for (const [effort, alike] of Map.groupBy(jobs, (job) => job.effort)) {
    await using encoder = new Encoder(options.store, effort, options.workers);
    await using spool = await Spool.create(options.scratch);
    const waiting = alike.values();
    const runner = async () => {
      for (const job of waiting) {
        // Looked up at the last moment: others may be at work on the same plan.
        if (!(await results.has(job))) {
          await results.keep(job, await encoder.encodeRecord(groupOf(job), spool), spool);
          made++;
        }
        done += job.bytes;
        progress({ kind: 'advance', step, done });
      }
    };
    const runners = Array.from({ length: RUNNERS_A_THREAD * encoder.threads }, runner);
    throwFirstFailure(await Promise.allSettled(runners));
  }
  progress({ kind: 'finish', step, done });
  return { made, present: jobs.length - made };
}

function otherMaker(maker: string, own: string): OsupdError {
  return new OsupdError('usage', `the job was planned by ${maker}, this is ${own}`, {
    remedy: 'run the plan and its jobs with the same versions of osupd and Node.js',
  });
}
