/** `osupd pull`: brings what the channel offers; what runs stays as it is. */
import type { Command } from 'commander';
import type { CliContext } from '../context.ts';
import { outputOf } from '../output.ts';
import { parseRate } from '../rate.ts';

interface PullFlags {
  readonly dryRun?: boolean;
  readonly limitRate?: number;
  readonly retry?: boolean;
}

export function register(program: Command, context: CliContext): void {
  program
    .command('pull')
    .description('download what the channel offers and make it the next deployment; what runs stays as it is')
    .argument('[stack]', 'the stack (default: all)')
    .option('--dry-run', 'say what would be downloaded and stored, and which ways there are, but change nothing')
    .option('--limit-rate <bytes>', 'download at most so many bytes a second (500k, 2M)', parseRate)
    .option('--retry', 'also what failed on this device; that it failed is forgotten')
    .addHelpText('after', '\nExamples:\n  osupd pull\n  osupd pull --dry-run\n  osupd pull kiosk --limit-rate 500k')
    .action((stack: string | undefined, flags: PullFlags, command: Command) => pull(stack, flags, command, context));
}

async function pull(only: string | undefined, flags: PullFlags, command: Command, context: CliContext): Promise<void> {
  const { openDevice } = await import('../device.ts');
  const { settleStacks } = await import('../boot-session.ts');
  const { forgetFailed } = await import('../../deploy/failed.ts');
  const { openUpdates } = await import('../updates.ts');
  const { nothingNew, stackReport } = await import('../pull-report.ts');
  const output = outputOf(command, context);
  const { device: root, configuration: settings } = await openDevice(command, context);
  using _lock = flags.dryRun ? undefined : root.lock();
  if (!flags.dryRun) await settleStacks(root, settings, context);
  await using updates = await openUpdates(command, context, { only, limitRate: flags.limitRate, retry: flags.retry });
  const { stacks, configuration, device } = updates;
  if (!stacks.some(({ state }) => state === 'available' || state === 'withdrawn')) throw nothingNew(stacks);
  const common = { channel: configuration.channel, dryRun: flags.dryRun ?? false, stacks: stacks.map(stackReport) };
  if (flags.dryRun) {
    const { planPull } = await import('../../pull/pull.ts');
    const { checkSpace } = await import('../../pull/space.ts');
    const { pullJob } = await import('../pull-job.ts');
    const { planReport, planText } = await import('../pull-report.ts');
    const plan = await planPull(pullJob(updates, output, context));
    output.result({ ...common, ...planReport(plan) }, () => planText(plan));
    return checkSpace(device.pool, plan.space);
  }
  const { pulledReport, pulledText, pullStacks } = await import('../pull-stacks.ts');
  if (flags.retry) for (const { stack } of stacks) forgetFailed(device, stack);
  const pulled = await pullStacks(updates, output, context);
  output.result({ ...common, ...pulledReport(pulled) }, () => pulledText(pulled));
}
