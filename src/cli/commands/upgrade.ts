/** `osupd upgrade`: pull, then switch. */
import type { Command } from 'commander';
import type { StackChange } from '../../deploy/switch.ts';
import type { CliContext } from '../context.ts';
import { type Output, outputOf } from '../output.ts';
import { parseRate } from '../rate.ts';
import type { Updates } from '../updates.ts';

interface UpgradeFlags {
  readonly limitRate?: number;
}

export function register(program: Command, context: CliContext): void {
  program
    .command('upgrade')
    .description('download what the channel offers and put it in use: pull and switch in one')
    .argument('[stack]', 'the stack (default: all)')
    .option('--limit-rate <bytes>', 'download at most so many bytes a second (500k, 2M)', parseRate)
    .addHelpText('after', '\nExamples:\n  osupd upgrade\n  osupd upgrade kiosk')
    .action((stack: string | undefined, flags: UpgradeFlags, command: Command) =>
      upgrade(stack, flags, command, context),
    );
}

async function upgrade(
  only: string | undefined,
  flags: UpgradeFlags,
  command: Command,
  context: CliContext,
): Promise<void> {
  const { openDevice } = await import('../device.ts');
  const { openUpdates } = await import('../updates.ts');
  const { nothingNew } = await import('../pull-report.ts');
  const output = outputOf(command, context);
  using _lock = (await openDevice(command, context)).device.lock();
  await using updates = await openUpdates(command, context, { only, limitRate: flags.limitRate });
  const { stacks } = updates;
  if (!stacks.some(({ state }) => ['available', 'pulled', 'withdrawn'].includes(state))) throw nothingNew(stacks);
  const { pulledReport, pulledText, pullStacks } = await import('../pull-stacks.ts');
  const pulled = await pullStacks(updates, output, context);
  if (pulled.stacks.length > 0) output.line(pulledText(pulled));
  const changes = await switchStacks(updates, output, context);
  const report = changes.map(({ stack, mountpoint, to }) => ({ stack, mountpoint, deployment: to.id }));
  output.result({ ...pulledReport(pulled), changes: report }, () =>
    report.map(({ stack, mountpoint, deployment }) => `${stack}: ${mountpoint} shows ${deployment}`).join('\n'),
  );
}

/** Switches every stack that may switch while it is read; the others wait for the start of the machine. */
async function switchStacks(updates: Updates, output: Output, context: CliContext): Promise<StackChange[]> {
  const { switchStack } = await import('../../deploy/switch.ts');
  const { device, configuration, stacks } = updates;
  const changes: StackChange[] = [];
  for (const { stack, state } of stacks) {
    if (state !== 'available' && state !== 'pulled') continue;
    if (configuration.stacks[stack]?.switch === 'boot') {
      output.note(`${stack} switches when the machine starts`);
      continue;
    }
    const options = { progress: output.progress, signal: context.signal };
    const change = await switchStack(device, configuration, stack, options);
    if (change !== undefined) changes.push(change);
  }
  return changes;
}
