/** What the commands that change a mounted stack have in common: switch, rollback, activate. */
import { type Command, Option } from 'commander';
import type { ApplyChoice } from '../deploy/boot/choose-apply.ts';
import type { BootChange } from '../deploy/boot/switch-boot.ts';
import { type Configuration, stackNamed } from '../deploy/configuration.ts';
import type { StackChange, SwitchOptions } from '../deploy/switch.ts';
import { bootChangeReport, bootChangeText } from './boot-changes.ts';
import type { CliContext } from './context.ts';
import type { Output } from './output.ts';

export interface ChangeFlags {
  readonly dryRun?: boolean;
  readonly live?: boolean;
  readonly boot?: boolean;
  readonly verify?: boolean;
}

export function addChangeOptions(command: Command): Command {
  return command
    .option('--dry-run', 'say what would be done, and whether it can be, but change nothing')
    .addOption(
      new Option('--live', 'now, also a stack that is configured to switch when the machine starts').conflicts('boot'),
    )
    .option('--boot', 'when the machine starts, also a stack that is configured to switch under its readers')
    .option('--verify', 'read every object first and compare its digest (default: those that nothing vouches for)')
    .option('--no-verify', 'read no object first; they only must be there');
}

export function changeOptions(flags: ChangeFlags, output: Output, context: CliContext): SwitchOptions {
  return {
    dryRun: flags.dryRun ?? false,
    live: flags.live ?? false,
    verify: flags.verify,
    now: context.now(),
    progress: output.progress,
    signal: context.signal,
  };
}

/** True for a stack that changes when the machine starts. */
export function isBootChange(configuration: Configuration, name: string, { live, boot }: ChangeFlags): boolean {
  return boot ?? (!live && stackNamed(configuration, name).switch === 'boot');
}

/** Prints what was done, or what would be. */
export function printChanges(
  output: Output,
  changes: readonly StackChange[],
  dryRun: boolean,
  booting: readonly BootChange[] = [],
  applied?: ApplyChoice,
): void {
  const value = changes.map(({ stack, mountpoint, from, to }) => ({
    stack,
    mountpoint,
    from: from ?? null,
    to: to.id,
    images: to.images,
  }));
  const apply = applied === undefined ? {} : { apply: applied };
  output.result({ dryRun, changes: [...value, ...booting.map(bootChangeReport)], ...apply }, () =>
    [
      ...changes.map((each) => changeText(each, dryRun)),
      ...booting.map((each) => bootChangeText(each, { dryRun, verbose: output.verbose })),
      ...(applied === undefined
        ? []
        : [`${dryRun ? 'would apply' : 'applies'} by ${applied.apply}: ${applied.reason}`]),
    ].join('\n'),
  );
}

function changeText({ stack, mountpoint, from, to }: StackChange, dryRun: boolean): string {
  const images = to.images.map(({ name, version }) => `${name} ${version}`).join(', ');
  const before = from === undefined ? '' : `, in place of ${from}`;
  return `${stack}: ${mountpoint} ${dryRun ? 'would show' : 'shows'} ${to.id} (${images})${before}`;
}
