/** `osupd delta …`: deltas as files, without a repository. */
import type { Command } from 'commander';
import type { CliContext } from '../context.ts';
import * as apply from './delta/apply.ts';
import * as explain from './delta/explain.ts';
import * as info from './delta/info.ts';
import * as make from './delta/make.ts';

export function register(program: Command, context: CliContext): void {
  const group = program.command('delta').description('make, apply and look into delta files');
  for (const command of [make, apply, info, explain]) command.register(group, context);
}
