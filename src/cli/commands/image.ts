/** `osupd image …`: metadata images as files. */
import type { Command } from 'commander';
import type { CliContext } from '../context.ts';
import * as diff from './image/diff.ts';
import * as dump from './image/dump.ts';
import * as explain from './image/explain.ts';
import * as fsck from './image/fsck.ts';
import * as info from './image/info.ts';
import * as ls from './image/ls.ts';
import * as write from './image/write.ts';

export function register(program: Command, context: CliContext): void {
  const group = program.command('image').description('write, read, compare and check metadata images');
  for (const command of [write, dump, ls, info, explain, fsck, diff]) command.register(group, context);
}
