/** `osupd activate [STACK...]`: what the start of the machine runs to show the current deployments. */
import type { Command } from 'commander';
import type { StackChange } from '../../deploy/switch.ts';
import type { CliContext } from '../context.ts';
import { outputOf } from '../output.ts';
import { addChangeOptions, type ChangeFlags, changeOptions, printChanges } from '../stack-changes.ts';

export function register(program: Command, context: CliContext): void {
  addChangeOptions(program.command('activate'))
    .description('mount the current deployments, as after a start of the machine; what is mounted already stays')
    .argument('[stack...]', 'these stacks (default: all that switch live)')
    .addHelpText('after', '\nExample:\n  osupd activate')
    .action((stacks: string[], flags: ChangeFlags, command: Command) => activate(stacks, flags, command, context));
}

async function activate(
  stacks: readonly string[],
  flags: ChangeFlags,
  command: Command,
  context: CliContext,
): Promise<void> {
  const { openDevice } = await import('../device.ts');
  const { mountCurrent } = await import('../../deploy/switch.ts');
  const output = outputOf(command, context);
  const { device, configuration } = await openDevice(command, context);
  using _lock = flags.dryRun ? undefined : device.lock();
  const live = Object.entries(configuration.stacks)
    .filter(([, stack]) => flags.live || stack.switch === 'live')
    .map(([name]) => name);
  const changes: StackChange[] = [];
  const failures: unknown[] = [];
  for (const name of stacks.length > 0 ? stacks : live) {
    try {
      const change = await mountCurrent(device, configuration, name, changeOptions(flags, output, context));
      if (change !== undefined) changes.push(change);
    } catch (error) {
      // One broken stack must not keep the others from showing.
      failures.push(error);
    }
  }
  printChanges(output, changes, flags.dryRun ?? false);
  if (failures.length > 0) throw failures[0];
}
