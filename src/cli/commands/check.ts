/** `osupd check`: looks whether the channel has something else than the device, and what it would cost. */
import type { Command } from 'commander';
import type { CliContext } from '../context.ts';
import { outputOf } from '../output.ts';

export function register(program: Command, context: CliContext): void {
  program
    .command('check')
    .description('look for an update: exit status 0 when there is one, 3 when not, 11 when the rollout holds it back')
    .argument('[stack]', 'the stack (default: all)')
    .addHelpText('after', '\nExamples:\n  osupd check\n  osupd check -q && osupd upgrade')
    .action((stack: string | undefined, _options: object, command: Command) => check(stack, command, context));
}

async function check(only: string | undefined, command: Command, context: CliContext): Promise<void> {
  const { describeUpdate, openUpdates } = await import('../updates.ts');
  const { downloadText, nothingNew, planReport, planText, stackReport } = await import('../pull-report.ts');
  const output = outputOf(command, context);
  await using updates = await openUpdates(command, context, { only });
  const { stacks, configuration } = updates;
  const found = stacks.filter(({ state }) => state === 'available' || state === 'pulled');
  const common = { channel: configuration.channel, available: found.length > 0, stacks: stacks.map(stackReport) };
  if (found.length === 0) {
    output.result(common, '');
    throw nothingNew(stacks);
  }
  const { planPull } = await import('../../pull/pull.ts');
  const { pullJob } = await import('../pull-job.ts');
  const plan = await planPull(pullJob(updates, output, context));
  output.result({ ...common, ...planReport(plan) }, () => {
    const lines = found.map((update) => {
      const waits = update.state === 'pulled' ? ' (pulled, waits for osupd switch)' : '';
      return `${update.stack}: ${describeUpdate(update)}${waits}`;
    });
    return [...lines, output.verbose ? planText(plan) : downloadText(plan)].join('\n');
  });
}
