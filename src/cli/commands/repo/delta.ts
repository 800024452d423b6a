/** `osupd repo delta` */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { OsupdError } from '../../../core/errors.ts';
import type { AddedDelta } from '../../../repository/add-delta.ts';
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
import { formatBytes, type Output, outputOf } from '../../output.ts';
import {
  effortOption,
  type KeyOptions,
  keysOption,
  openRing,
  passphraseOption,
  several,
  signLaterOption,
  waitingText,
} from '../../repository-options.ts';
import { StepTimes } from '../../step-times.ts';

interface DeltaOptions extends JobOptions, Partial<KeyOptions> {
  readonly from?: string[];
  readonly to?: string[];
  readonly effort: number;
  readonly signLater?: boolean;
}

const EXAMPLES = `
Examples:
  osupd repo delta /srv/repo --keys ./keys --from os@1 --to os@2
  osupd repo delta /srv/repo --keys ./keys --from os@1 --from apps@7 --to os@2 --to apps@8
${jobExamples('osupd repo delta /srv/repo', '--from os@1 --to os@2')}
  osupd repo delta /srv/repo --keys ./keys --from os@1 --to os@2 --results ./results
--plan and --job need no keys.`;

export function register(group: Command, context: CliContext): void {
  const command = group
    .command('delta')
    .description('make a delta between published releases')
    .argument('<repo>', "the repository's directory")
    .addOption(keysOption().makeOptionMandatory(false))
    .option('--from <release>', 'NAME@VERSION that devices have; repeatable; none: a delta from nothing', several)
    .option('--to <release>', 'NAME@VERSION that it leads to; repeatable', several)
    .addOption(effortOption());
  for (const option of jobOptions()) command.addOption(option);
  command
    .addOption(signLaterOption())
    .addOption(passphraseOption())
    .addHelpText('after', EXAMPLES)
    .action(async (repo: string, options: DeltaOptions, self: Command) => {
      const output = outputOf(self, context);
      const directory = resolve(context.workingDirectory, repo);
      if (options.job !== undefined) await runJobs(directory, options, output, context);
      else if (options.plan) await plan(directory, options, output, context);
      else await add(directory, options, output, context);
    });
}

async function add(directory: string, options: DeltaOptions, output: Output, context: CliContext): Promise<void> {
  const { addDelta } = await import('../../../repository/add-delta.ts');
  const times = new StepTimes(output.progress, context);
  const { keys, from, to } = options;
  if (keys === undefined)
    throw new OsupdError('usage', 'no --keys: a delta is signed', { remedy: 'only --plan and --job need none' });
  const added = await addDelta({
    directory,
    ring: await openRing({ ...options, keys }, context, output),
    ...(await readSides(options)),
    effort: options.effort,
    results: await openResults(options, context),
    now: context.now(),
    signLater: options.signLater,
    progress: times.progress,
  });
  const { summary, ...facts } = added;
  const steps = times.seconds;
  output.result({ ...facts, ...(summary === undefined ? {} : { summary, steps }) }, () => {
    const line = `delta from ${from?.join(' + ') ?? 'nothing'} to ${to?.join(' + ')}: ${describe(added)}`;
    const detail = summary === undefined ? '' : `\n${describeSummary(summary, steps)}`;
    return `${line}${waitingText(added.waiting)}${detail}`;
  });
}

async function plan(directory: string, options: DeltaOptions, output: Output, context: CliContext): Promise<void> {
  const { planDeltaJobs } = await import('../../../repository/delta-jobs.ts');
  const { makerOf } = await import('../../../delta/jobs/record-job.ts');
  const { effort } = options;
  const { progress } = output;
  const sides = await readSides(options);
  const maker = makerOf(context.version);
  await withScratch(context, async (scratch) =>
    printPlan(output, await planDeltaJobs({ directory, ...sides, effort, maker, scratch, progress })),
  );
}

async function runJobs(directory: string, options: DeltaOptions, output: Output, context: CliContext): Promise<void> {
  const { runDeltaJobs } = await import('../../../repository/delta-jobs.ts');
  const { progress } = output;
  await withScratch(context, (scratch) =>
    runNamedJobs(options, output, context, (jobs, results) =>
      runDeltaJobs({ directory, jobs, results, scratch, progress }),
    ),
  );
}

async function readSides({ from = [], to }: DeltaOptions) {
  const { parseReleaseReference } = await import('../../../repository/layout.ts');
  if (to === undefined) throw noTarget();
  return { from: from.map(parseReleaseReference), to: to.map(parseReleaseReference) };
}

function describe({ delta, kept, changed, without, waiting }: AddedDelta): string {
  const size = formatBytes(delta.size);
  if (!kept) return `not kept: its ${size} are no less than the ${formatBytes(without)} that devices fetch without it`;
  const first = changed || waiting.length > 0 ? '' : 'there already, nothing changed: ';
  return `${first}${size}, of it ${formatBytes(delta.head.size)} for the image; without it ${formatBytes(without)}`;
}
