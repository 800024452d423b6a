/** `osupd upgrade`: pull, then switch. */
import type { Command } from 'commander';
import type { BootChange } from '../../deploy/boot/switch-boot.ts';
import type { StackChange } from '../../deploy/switch.ts';
import type { CliContext } from '../context.ts';
import { type Output, outputOf } from '../output.ts';
import { parseRate } from '../rate.ts';
import type { StackUpdate, Updates } from '../updates.ts';

interface UpgradeFlags {
  readonly limitRate?: number;
}

export function register(program: Command, context: CliContext): void {
  program
    .command('upgrade')
    .description('download what the channel offers and put it in use, now or at the next start: pull and switch in one')
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
  const { settleStacks } = await import('../boot-session.ts');
  const { openUpdates } = await import('../updates.ts');
  const { nothingNew } = await import('../pull-report.ts');
  const output = outputOf(command, context);
  const { device, configuration } = await openDevice(command, context);
  using _lock = device.lock();
  await settleStacks(device, configuration, context);
  await using updates = await openUpdates(command, context, { only, limitRate: flags.limitRate });
  const { stacks } = updates;
  if (!stacks.some(({ state }) => ['available', 'pulled', 'withdrawn'].includes(state))) throw nothingNew(stacks);
  const { pulledReport, pulledText, pullStacks } = await import('../pull-stacks.ts');
  const pulled = await pullStacks(updates, output, context);
  if (pulled.stacks.length > 0) output.line(pulledText(pulled));
  const booting = await switchStarts(updates, output, context);
  const changes = await switchStacks(updates, output, context);
  const { bootChangeReport, bootChangeText } = await import('../boot-changes.ts');
  const report = changes.map(({ stack, mountpoint, to }) => ({ stack, mountpoint, deployment: to.id }));
  output.result({ ...pulledReport(pulled), changes: [...report, ...booting.map(bootChangeReport)] }, () =>
    [
      ...report.map(({ stack, mountpoint, deployment }) => `${stack}: ${mountpoint} shows ${deployment}`),
      ...booting.map((change) => bootChangeText(change, { dryRun: false, verbose: output.verbose })),
    ].join('\n'),
  );
}

const isWaiting = ({ state }: StackUpdate) => state === 'available' || state === 'pulled';

/** Prepares the next start for every stack that switches then. */
async function switchStarts(updates: Updates, output: Output, context: CliContext): Promise<BootChange[]> {
  const { device, configuration, stacks } = updates;
  const names = stacks.filter(isWaiting).map(({ stack }) => stack);
  const starting = names.filter((stack) => configuration.stacks[stack]?.switch === 'boot');
  if (starting.length === 0) return [];
  const { switchAtStart } = await import('../switch-at-start.ts');
  const options = { progress: output.progress, signal: context.signal, now: context.now() };
  return switchAtStart(starting, { device, configuration, context, options });
}

/** Switches every stack that may switch while it is read. */
async function switchStacks(updates: Updates, output: Output, context: CliContext): Promise<StackChange[]> {
  const { switchStack } = await import('../../deploy/switch.ts');
  const { device, configuration, stacks } = updates;
  const changes: StackChange[] = [];
  for (const { stack } of stacks.filter(isWaiting)) {
    if (configuration.stacks[stack]?.switch === 'boot') continue;
    const options = { progress: output.progress, signal: context.signal, now: context.now() };
    const change = await switchStack(device, configuration, stack, options);
    if (change !== undefined) changes.push(change);
  }
  return changes;
}
