/** `osupd repo init` */
import { randomBytes } from 'node:crypto';
import { basename, resolve } from 'node:path';
import type { Command } from 'commander';
import type { NewKey } from '../../../repository/init.ts';
import type { CliContext } from '../../context.ts';
import { outputOf } from '../../output.ts';
import {
  type KeyOptions,
  keysOption,
  openRing,
  parseDuration,
  parseRoleValues,
  parseThreshold,
  passphraseOption,
  readPassphrase,
  several,
} from '../../repository-options.ts';

interface InitOptions extends KeyOptions {
  readonly threshold?: string[];
  readonly expires?: string[];
}

const EXAMPLES = `
Examples:
  osupd repo init /srv/repo --keys ./keys
  osupd key generate --keys ./keys --role root && osupd key generate --keys ./keys --role root
  osupd repo init /srv/repo --keys ./keys --threshold root=2 --expires timestamp=2d`;

export function register(group: Command, context: CliContext): void {
  group
    .command('init')
    .description('make an empty repository, and the keys that are missing')
    .argument('<repo>', "the repository's directory")
    .addOption(keysOption())
    .option('--threshold <role=n>', 'how many keys must sign a role (default: 1); repeatable', several)
    .option('--expires <role=span>', 'how long signatures of a role are good (root=365d); repeatable', several)
    .addOption(passphraseOption())
    .addHelpText('after', EXAMPLES)
    .action(async (repo: string, options: InitOptions, command: Command) => {
      const { initRepository } = await import('../../../repository/init.ts');
      const output = outputOf(command, context);
      const directory = resolve(context.workingDirectory, repo);
      const passphrase = await readPassphrase(options, context);
      const { newKeys } = await initRepository({
        directory,
        ring: await openRing(options, context, output),
        now: context.now(),
        random: randomBytes,
        thresholds: await parseRoleValues(options.threshold ?? [], parseThreshold),
        lifetimes: await parseRoleValues(options.expires ?? [], parseDuration),
        ...(passphrase === undefined ? {} : { passphrase }),
      });
      const trust = `${repo}/metadata/1.root.json`;
      output.result({ repository: directory, trust, newKeys }, () => report(repo, options.keys, newKeys));
    });
}

function report(repo: string, keys: string, newKeys: readonly NewKey[]): string {
  const lines = newKeys.map(({ role, file, offline }) => {
    const advice = offline ? '  keep it offline: it is needed again only to change keys' : '';
    return `  ${role.padEnd(10)} ${basename(file)}${advice}`;
  });
  return [
    `${repo} is an empty repository; devices trust it by ${repo}/metadata/1.root.json`,
    ...(lines.length === 0 ? [] : [`new keys in ${keys}:`, ...lines]),
  ].join('\n');
}
