/** `osupd repo refresh` */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { CliContext } from '../../context.ts';
import { outputOf } from '../../output.ts';
import {
  type KeyOptions,
  keysOption,
  openRing,
  parseDuration,
  parseRoleValues,
  passphraseOption,
  several,
  signLaterOption,
  waitingText,
} from '../../repository-options.ts';

interface RefreshOptions extends KeyOptions {
  readonly signLater?: boolean;
  readonly role?: string[];
  readonly expires?: string[];
}

const EXAMPLES = `
Examples:
  osupd repo refresh /srv/repo --keys ./keys            # from a daily timer
  osupd repo refresh /srv/repo --keys ./offline --role root
  osupd repo refresh /srv/repo --keys ./keys --expires timestamp=2d`;

export function register(group: Command, context: CliContext): void {
  group
    .command('refresh')
    .description('sign again what has less than a third of its lifetime left')
    .argument('<repo>', "the repository's directory")
    .addOption(keysOption())
    .option('--role <role>', 'sign this role in any case; repeatable', several)
    .option('--expires <role=span>', 'sign a role for this long from now on (timestamp=2d); repeatable', several)
    .addOption(signLaterOption())
    .addOption(passphraseOption())
    .addHelpText('after', EXAMPLES)
    .action(async (repo: string, options: RefreshOptions, command: Command) => {
      const { refreshRepository } = await import('../../../repository/refresh.ts');
      const { checkRole } = await import('../../../repository/roles.ts');
      const output = outputOf(command, context);
      const done = await refreshRepository({
        directory: resolve(context.workingDirectory, repo),
        ring: await openRing(options, context, output),
        now: context.now(),
        signLater: options.signLater,
        roles: (options.role ?? []).map(checkRole),
        lifetimes: await parseRoleValues(options.expires ?? [], parseDuration),
      });
      for (const { role, expires } of done.expiring) {
        output.note(`role "${role}" expires at ${expires}, and its key is not in ${options.keys}`);
      }
      const signed = done.signed.length === 0 ? 'nothing was signed' : `signed ${done.signed.join(', ')}`;
      output.result(done, signed + waitingText(done.waiting));
    });
}
