/** `osupd switch [STACK]`: puts what is next in use. */
import type { Command } from 'commander';
import { OsupdError } from '../../core/errors.ts';
import type { CliContext } from '../context.ts';
import { outputOf } from '../output.ts';
import { addChangeOptions, type ChangeFlags, changeOptions, printChanges } from '../stack-changes.ts';

export function register(program: Command, context: CliContext): void {
  addChangeOptions(program.command('switch'))
    .description('put the next deployment of a stack in use, under the processes that read it')
    .argument('[stack]', 'the stack (default: each that has a next deployment)')
    .addHelpText('after', '\nExamples:\n  osupd switch\n  osupd switch kiosk --dry-run')
    .action((stack: string | undefined, flags: ChangeFlags, command: Command) =>
      switchCommand(stack, flags, command, context),
    );
}

async function switchCommand(
  stack: string | undefined,
  flags: ChangeFlags,
  command: Command,
  context: CliContext,
): Promise<void> {
  const { openDevice } = await import('../device.ts');
  const { switchStacks } = await import('../../deploy/switch.ts');
  const output = outputOf(command, context);
  const { device, configuration } = await openDevice(command, context);
  const options = changeOptions(flags, output, context);
  using _lock = flags.dryRun ? undefined : device.lock();
  const names = stack === undefined ? Object.keys(configuration.stacks) : [stack];
  const changes = await switchStacks(device, configuration, names, options);
  if (changes.length === 0) throw new OsupdError('nothing-to-do', 'no deployment is waiting to be put in use');
  printChanges(output, changes, options.dryRun ?? false);
}
