/** `osupd repo rotate` */
import { randomBytes } from 'node:crypto';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { CliContext } from '../../context.ts';
import { outputOf } from '../../output.ts';
import {
  type KeyOptions,
  keysOption,
  openRing,
  parseThreshold,
  passphraseOption,
  readPassphrase,
  several,
  signLaterOption,
  waitingText,
} from '../../repository-options.ts';

interface RotateOptions extends KeyOptions {
  readonly key?: string[];
  readonly threshold?: number;
  readonly signLater?: boolean;
}

const EXAMPLES = `
Examples:
  osupd repo rotate /srv/repo --keys ./keys timestamp
  osupd repo rotate /srv/repo --keys ./keys root --key 1f2e3d4c --key 5b6a7988 --threshold 2`;

export function register(group: Command, context: CliContext): void {
  group
    .command('rotate')
    .description('give a role new keys, in place of all that it has')
    .argument('<repo>', "the repository's directory")
    .argument('<role>', 'root, targets, snapshot, timestamp, releases, channels or deltas')
    .addOption(keysOption())
    .option('--key <id>', 'a key of the role from now on; repeatable; without it, keys are made', several)
    .option('--threshold <n>', 'how many keys must sign (default: as before)', parseThreshold)
    .addOption(signLaterOption())
    .addOption(passphraseOption())
    .addHelpText('after', EXAMPLES)
    .action(async (repo: string, name: string, options: RotateOptions, command: Command) => {
      const { rotateKeys } = await import('../../../repository/rotate.ts');
      const { checkRole } = await import('../../../repository/roles.ts');
      const output = outputOf(command, context);
      const role = checkRole(name);
      const rotated = await rotateKeys({
        directory: resolve(context.workingDirectory, repo),
        ring: await openRing(options, context, output),
        now: context.now(),
        random: randomBytes,
        role,
        keyIds: options.key ?? [],
        threshold: options.threshold,
        passphrase: await readPassphrase(options, context),
        signLater: options.signLater,
      });
      output.result(rotated, () => {
        const ids = rotated.after.keys.map(({ keyId }) => keyId.slice(0, 8)).join(', ');
        const files = rotated.newKeys.map((file) => `\nnew key: ${file}`).join('');
        return `role "${role}" is signed by ${rotated.after.threshold} of ${ids}${files}${waitingText(rotated.waiting)}`;
      });
    });
}
