/** `osupd delta make` */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { OsupdError } from '../../../core/errors.ts';
import type { DeltaImage } from '../../../delta/write.ts';
import type { Pool } from '../../../objects/pool.ts';
import type { CliContext } from '../../context.ts';
import {
  type JobOptions,
  jobExamples,
  jobOptions,
  noTarget,
  openResults,
  printPlan,
  runNamedJobs,
  withScratch,
} from '../../delta-jobs.ts';
import { describeSummary } from '../../delta-summary-text.ts';
import { type Output, outputOf } from '../../output.ts';
import { effortOption, several } from '../../repository-options.ts';
import { StepTimes } from '../../step-times.ts';

interface MakeOptions extends JobOptions {
  readonly pool: string;
  readonly from?: string[];
  readonly to?: string[];
  readonly effort: number;
}

const EXAMPLES = `
An image is NAME@VERSION of a build in the pool, or a digest.

Examples:
  osupd delta make --pool ./pool --from os@1 --to os@2 update.osd
  osupd delta make --pool ./pool --to os@2 install.osd
${jobExamples('osupd delta make --pool ./pool', '--from os@1 --to os@2')}
  osupd delta make --pool ./pool --from os@1 --to os@2 --results ./results update.osd`;

export function register(group: Command, context: CliContext): void {
  const command = group
    .command('make')
    .description('make a delta file between images of a pool')
    .argument('[out]', 'the delta file')
    .requiredOption('--pool <dir>', 'the pool with the images and their objects')
    .option('--from <image>', 'image that the device has; repeatable; none: a delta from nothing', several)
    .option('--to <image>', 'image that it leads to; repeatable', several)
    .addOption(effortOption());
  for (const option of jobOptions()) command.addOption(option);
  command
    .addHelpText('after', EXAMPLES)
    .action(async (out: string | undefined, options: MakeOptions, self: Command) => {
      const output = outputOf(self, context);
      const { Pool } = await import('../../../objects/pool.ts');
      const pool = await Pool.open(resolve(context.workingDirectory, options.pool));
      if (options.job !== undefined) await runJobsOf(pool, options, output, context);
      else if (options.plan) await plan(pool, options, output, context);
      else await make(out, pool, options, output, context);
    });
}

async function make(
  out: string | undefined,
  store: Pool,
  options: MakeOptions,
  output: Output,
  context: CliContext,
): Promise<void> {
  const { writeDeltaFile } = await import('../../../delta/delta-file.ts');
  if (out === undefined) throw new OsupdError('usage', 'no file for the delta', { remedy: 'name it, or use --plan' });
  const began = context.now().getTime();
  const times = new StepTimes(output.progress, context);
  const summary = await writeDeltaFile(resolve(context.workingDirectory, out), {
    ...(await readSides(options, store)),
    store,
    effort: options.effort,
    results: await openResults(options, context),
    progress: times.progress,
  });
  const seconds = (context.now().getTime() - began) / 1000;
  const steps = times.seconds;
  output.result({ file: out, ...summary, seconds, steps }, () =>
    describeSummary(summary, { ...steps, total: seconds }),
  );
}

async function plan(store: Pool, options: MakeOptions, output: Output, context: CliContext): Promise<void> {
  const { planJobs } = await import('../../../delta/write.ts');
  const { makerOf } = await import('../../../delta/jobs/record-job.ts');
  const { progress } = output;
  const sides = await readSides(options, store);
  await printPlan(output, await planJobs({ ...sides, store, progress }, options.effort, makerOf(context.version)));
}

async function runJobsOf(store: Pool, options: MakeOptions, output: Output, context: CliContext): Promise<void> {
  const { runJobs } = await import('../../../delta/jobs/run-jobs.ts');
  const { progress } = output;
  await withScratch(context, (scratch) =>
    runNamedJobs(options, output, context, (jobs, results) => runJobs({ jobs, results, store, scratch, progress })),
  );
}

async function readSides(options: MakeOptions, pool: Pool): Promise<{ from: DeltaImage[]; to: DeltaImage[] }> {
  if (options.to === undefined) throw noTarget();
  return { from: await readImages(options.from ?? [], pool), to: await readImages(options.to, pool) };
}

async function readImages(words: readonly string[], pool: Pool): Promise<DeltaImage[]> {
  const { decodeImage } = await import('../../../image/read.ts');
  const { isDigest } = await import('../../../core/digest.ts');
  const { readBuildRecord } = await import('../../../repository/build-record.ts');
  const { parseReleaseReference } = await import('../../../repository/layout.ts');
  const images: DeltaImage[] = [];
  for (const word of words) {
    const digest = isDigest(word)
      ? word
      : (await readBuildRecord(pool.directory, parseReleaseReference(word))).image.digest;
    const bytes = await pool.readImage(digest);
    images.push({ digest, bytes, tree: decodeImage(bytes, digest) });
  }
  return images;
}
