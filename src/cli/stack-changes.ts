/** What the commands that change a mounted stack have in common: switch, rollback, activate. */
import type { Command } from 'commander';
import type { StackChange, SwitchOptions } from '../deploy/switch.ts';
import type { CliContext } from './context.ts';
import type { Output } from './output.ts';

export interface ChangeFlags {
  readonly dryRun?: boolean;
  readonly live?: boolean;
  readonly verify?: boolean;
}

export function addChangeOptions(command: Command): Command {
  return command
    .option('--dry-run', 'say what would be done, and whether it can be, but change nothing')
    .option('--live', 'also a stack that is configured to switch when the machine starts')
    .option('--verify', 'read every object first and compare its digest');
}

export function changeOptions(flags: ChangeFlags, output: Output, context: CliContext): SwitchOptions {
  return {
    dryRun: flags.dryRun ?? false,
    live: flags.live ?? false,
    verify: flags.verify ?? false,
    progress: output.progress,
    signal: context.signal,
  };
}

/** Prints what was done, or what would be. */
export function printChanges(output: Output, changes: readonly StackChange[], dryRun: boolean): void {
  const value = changes.map(({ stack, mountpoint, from, to }) => ({
    stack,
    mountpoint,
    from: from ?? null,
    to: to.id,
    images: to.images,
  }));
  output.result({ dryRun, changes: value }, () => changes.map((each) => changeText(each, dryRun)).join('\n'));
}

function changeText({ stack, mountpoint, from, to }: StackChange, dryRun: boolean): string {
  const images = to.images.map(({ name, version }) => `${name} ${version}`).join(', ');
  const before = from === undefined ? '' : `, in place of ${from}`;
  return `${stack}: ${mountpoint} ${dryRun ? 'would show' : 'shows'} ${to.id} (${images})${before}`;
}
