/** `osupd repo …`: the server's side, a static directory that any web server can serve. */
import type { Command } from 'commander';
import type { CliContext } from '../context.ts';
import * as channel from './repo/channel.ts';
import * as delta from './repo/delta.ts';
import * as init from './repo/init.ts';
import * as prune from './repo/prune.ts';
import * as publish from './repo/publish.ts';
import * as refresh from './repo/refresh.ts';
import * as rotate from './repo/rotate.ts';
import * as serve from './repo/serve.ts';
import * as sign from './repo/sign.ts';
import * as verify from './repo/verify.ts';

export function register(program: Command, context: CliContext): void {
  const group = program.command('repo').description('make, fill, check and serve a signed repository');
  for (const command of [init, publish, delta, channel, refresh, rotate, sign, verify, prune, serve]) {
    command.register(group, context);
  }
}
