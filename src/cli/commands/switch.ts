/** `osupd switch [STACK]`: puts what is next in use, now or when the machine starts. */
import type { Command } from 'commander';
import { OsupdError } from '../../core/errors.ts';
import type { BootChange } from '../../deploy/boot/switch-boot.ts';
import type { CliContext } from '../context.ts';
import { outputOf } from '../output.ts';
import { addChangeOptions, type ChangeFlags, changeOptions, isBootChange, printChanges } from '../stack-changes.ts';

export function register(program: Command, context: CliContext): void {
  addChangeOptions(program.command('switch'))
    .description(
      'put the next deployment of a stack in use: under the processes that read it, or when the machine starts',
    )
    .argument('[stack]', 'the stack (default: each that has a next deployment)')
    .addHelpText(
      'after',
      '\nExit status: 0 done, 3 nothing to do, 7 no space on the boot partition.' +
        '\n\nExamples:\n  osupd switch\n  osupd switch kiosk --dry-run\n  osupd switch system --boot',
    )
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
  const atBoot = names.filter((name) => isBootChange(configuration, name, flags));
  const booting: BootChange[] = [];
  if (atBoot.length > 0) {
    const { switchAtStart } = await import('../switch-at-start.ts');
    booting.push(...(await switchAtStart(atBoot, { device, configuration, context, options })));
  }
  const live = names.filter((name) => !atBoot.includes(name));
  const changes = await switchStacks(device, configuration, live, options);
  if (changes.length + booting.length === 0)
    throw new OsupdError('nothing-to-do', 'no deployment is waiting to be put in use');
  printChanges(output, changes, options.dryRun ?? false, booting);
}
