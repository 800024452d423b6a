/** The options that spread the making of a delta over machines: `--plan`, `--job` and `--results`. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Option } from 'commander';
import { collectAtMost } from '../core/bytes.ts';
import { OsupdError } from '../core/errors.ts';
import { MAX_JOB_PLAN_BYTES } from '../core/limits.ts';
import type { JobResults } from '../delta/jobs/job-results.ts';
import type { RecordJob } from '../delta/jobs/record-job.ts';
import type { JobsDone } from '../delta/jobs/run-jobs.ts';
import type { CliContext } from './context.ts';
import type { Output } from './output.ts';
import { several } from './repository-options.ts';
import { writeLines } from './write-lines.ts';

export interface JobOptions {
  readonly plan?: boolean;
  readonly job?: string[];
  readonly results?: string;
}

/** For `--help`. @param command the line up to its options. */
export function jobExamples(command: string, images: string): string {
  return `
To spread the work over processes or machines, print it as jobs (JSON lines), do them anywhere, in any order, and make the
delta from their results:
  ${command} ${images} --plan > plan
  parallel --pipe -N1 ${command} --job - --results ./results < plan`;
}

export function jobOptions(): Option[] {
  return [
    new Option('--plan', 'print the jobs of the delta, one a line, and make nothing').conflicts(['job', 'results']),
    new Option('--job <id>', 'do this job of the plan on standard input, or all with -; repeatable').argParser(several),
    new Option('--results <dir>', 'where jobs leave results, and where they are taken from'),
  ];
}

export function noTarget(): OsupdError {
  return new OsupdError('usage', 'no --to: a delta must lead to something');
}

/** The directory of results, if one was named. */
export async function openResults({ results }: JobOptions, context: CliContext): Promise<JobResults | undefined> {
  if (results === undefined) return undefined;
  const { JobResults } = await import('../delta/jobs/job-results.ts');
  const { makerOf } = await import('../delta/jobs/record-job.ts');
  return JobResults.open(resolve(context.workingDirectory, results), makerOf(context.version));
}

export async function printPlan(output: Output, jobs: readonly RecordJob[]): Promise<void> {
  await writeLines(
    output,
    jobs.map((job) => `${JSON.stringify(job)}\n`),
  );
}

/** Does the jobs that `--job` names, by `run`, and says how many. @throws OsupdError `usage`, `not-found`. */
export async function runNamedJobs(
  options: JobOptions,
  output: Output,
  context: CliContext,
  run: (jobs: readonly RecordJob[], results: JobResults) => Promise<JobsDone>,
): Promise<void> {
  const results = await openResults(options, context);
  if (results === undefined)
    throw new OsupdError('usage', '--job needs --results', { remedy: 'name the directory for the results' });
  const done = await run(await readJobs(options.job ?? [], context), results);
  output.result(done, () => `${done.made} jobs done${done.present > 0 ? `, ${done.present} were done before` : ''}`);
}

/** Runs `use` with a directory for temporary files. */
export async function withScratch<T>(context: CliContext, use: (directory: string) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(join(context.environment.TMPDIR ?? tmpdir(), 'osupd-delta-'));
  try {
    return await use(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function readJobs(names: readonly string[], context: CliContext): Promise<RecordJob[]> {
  const { parseRecordJob } = await import('../delta/jobs/record-job.ts');
  const where = 'standard input';
  const tooLong = () =>
    new OsupdError('limit-exceeded', `the plan has more than ${MAX_JOB_PLAN_BYTES} bytes`, { where });
  const plan = await collectAtMost(context.stdin as AsyncIterable<Buffer>, MAX_JOB_PLAN_BYTES, tooLong);
  const lines = plan.toString('utf8').split('\n');
  const jobs = lines.filter((line) => line.trim() !== '').map(parseRecordJob);
  if (names.includes('-')) return jobs;
  return names.map((name) => {
    const job = jobs.find((one) => one.job === name);
    if (job === undefined) throw new OsupdError('not-found', `the plan has no job ${name}`, { where });
    return job;
  });
}
