/** `osupd switch [STACK]`: puts what is next in use, now or when the machine starts. */
import { type Command, Option } from 'commander';
import { OsupdError } from '../../core/errors.ts';
import type { ApplyChoice } from '../../deploy/boot/choose-apply.ts';
import type { BootChange } from '../../deploy/boot/switch-boot.ts';
import type { ApplyWay } from '../apply.ts';
import type { CliContext } from '../context.ts';
import { type Output, outputOf } from '../output.ts';
import { addChangeOptions, type ChangeFlags, changeOptions, isBootChange, printChanges } from '../stack-changes.ts';
import type { StartSwitch } from '../switch-at-start.ts';

interface SwitchFlags extends ChangeFlags {
  readonly apply?: ApplyWay;
}

const HELP = `
What is switched at the next start waits for it, unless --apply says how it comes into use at once: auto takes the way that
interrupts least and says why.

Exit status: 0 done, 3 nothing to do, 5 no boot partition, 7 no space on it, 9 not supported here.

Examples:
  osupd switch
  osupd switch kiosk --dry-run
  osupd switch --apply=auto`;

export function register(program: Command, context: CliContext): void {
  addChangeOptions(program.command('switch'))
    .description('put the next deployment of a stack in use, under the processes that read it or at the next start')
    .argument('[stack]', 'the stack (default: each that has a next deployment)')
    .addOption(
      new Option('--apply <way>', 'bring what is switched at the next start into use at once')
        .choices(['auto', 'live', 'soft-reboot', 'reboot'])
        .conflicts('live'),
    )
    .addHelpText('after', HELP)
    .action((stack: string | undefined, flags: SwitchFlags, command: Command) =>
      switchCommand(stack, flags.apply === 'live' ? { ...flags, live: true } : flags, command, context),
    );
}

async function switchCommand(
  stack: string | undefined,
  flags: SwitchFlags,
  command: Command,
  context: CliContext,
): Promise<void> {
  const output = outputOf(command, context);
  const { choice, booting } = await switchAll(stack, flags, output, command, context);
  if (choice === undefined || flags.dryRun) return;
  const { applyNow } = await import('../apply.ts');
  await applyNow(choice, booting);
}

/** Everything but what ends the running system, under the device's lock. */
async function switchAll(
  stack: string | undefined,
  flags: SwitchFlags,
  output: Output,
  command: Command,
  context: CliContext,
): Promise<{ choice: ApplyChoice | undefined; booting: readonly BootChange[] }> {
  const { openDevice } = await import('../device.ts');
  const { switchStacks } = await import('../../deploy/switch.ts');
  const { device, configuration } = await openDevice(command, context);
  const options = changeOptions(flags, output, context);
  using _lock = flags.dryRun ? undefined : device.lock();
  const names = stack === undefined ? Object.keys(configuration.stacks) : [stack];
  const atBoot = names.filter((name) => isBootChange(configuration, name, flags));
  const job = { device, configuration, context, options };
  const booting: BootChange[] = [];
  if (atBoot.length > 0) {
    const { switchAtStart } = await import('../switch-at-start.ts');
    booting.push(...(await switchAtStart(atBoot, job)));
  }
  const live = names.filter((name) => !atBoot.includes(name));
  const changes = await switchStacks(device, configuration, live, options);
  if (changes.length + booting.length === 0)
    throw new OsupdError('nothing-to-do', 'no deployment is waiting to be put in use');
  const choice = await choiceOf(booting, flags.apply, job);
  printChanges(output, changes, options.dryRun ?? false, booting, choice);
  return { choice, booting };
}

async function choiceOf(
  booting: readonly BootChange[],
  way: ApplyWay | undefined,
  job: StartSwitch,
): Promise<ApplyChoice | undefined> {
  if (way === undefined || booting.length === 0) return undefined;
  const { chooseWay } = await import('../apply.ts');
  return chooseWay(booting, way, job);
}
