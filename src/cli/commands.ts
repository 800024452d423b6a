/** The table of commands: what exists, in the order of `osupd --help`, and how its module is loaded. */
import type { Command } from 'commander';
import type { CliContext } from './context.ts';

export interface CommandModule {
  register(program: Command, context: CliContext): void;
}

interface CommandEntry {
  readonly name: string;
  /** True for a command that has subcommands. */
  readonly group?: boolean;
  readonly load: () => Promise<CommandModule>;
}

export const COMMANDS: readonly CommandEntry[] = [
  { name: 'build', load: () => import('./commands/build.ts') },
  { name: 'image', group: true, load: () => import('./commands/image.ts') },
  { name: 'digest', load: () => import('./commands/digest.ts') },
  { name: 'delta', group: true, load: () => import('./commands/delta.ts') },
  { name: 'key', group: true, load: () => import('./commands/key.ts') },
  { name: 'repo', group: true, load: () => import('./commands/repo.ts') },
  { name: 'install', load: () => import('./commands/install.ts') },
  { name: 'adopt', load: () => import('./commands/adopt.ts') },
  { name: 'init', load: () => import('./commands/init.ts') },
  { name: 'check', load: () => import('./commands/check.ts') },
  { name: 'pull', load: () => import('./commands/pull.ts') },
  { name: 'upgrade', load: () => import('./commands/upgrade.ts') },
  { name: 'switch', load: () => import('./commands/switch.ts') },
  { name: 'activate', load: () => import('./commands/activate.ts') },
  { name: 'rollback', load: () => import('./commands/rollback.ts') },
  { name: 'mark-good', load: () => import('./commands/mark-good.ts') },
  { name: 'mark-bad', load: () => import('./commands/mark-bad.ts') },
  { name: 'merge-etc', load: () => import('./commands/merge-etc.ts') },
  { name: 'status', load: () => import('./commands/status.ts') },
  { name: 'diff', load: () => import('./commands/diff.ts') },
  { name: 'pin', load: () => import('./commands/pin.ts') },
  { name: 'unpin', load: () => import('./commands/unpin.ts') },
  { name: 'undeploy', load: () => import('./commands/undeploy.ts') },
  { name: 'gc', load: () => import('./commands/gc.ts') },
  { name: 'fsck', load: () => import('./commands/fsck.ts') },
  { name: 'mount', load: () => import('./commands/mount.ts') },
  { name: 'unmount', load: () => import('./commands/unmount.ts') },
  { name: 'completion', load: () => import('./commands/completion.ts') },
];

export async function loadCommand(name: string): Promise<CommandModule | undefined> {
  return COMMANDS.find((command) => command.name === name)?.load();
}
