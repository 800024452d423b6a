/** `osupd repo sign` */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { OsupdError } from '../../../core/errors.ts';
import type { PendingChange } from '../../../repository/sign.ts';
import type { CliContext } from '../../context.ts';
import { outputOf } from '../../output.ts';
import { type KeyOptions, openRing, passphraseOption, waitingText } from '../../repository-options.ts';

interface SignOptions extends Partial<KeyOptions> {
  readonly discard?: boolean;
}

const EXAMPLES = `
Examples:
  osupd repo sign /srv/repo                          # show what waits for signatures
  osupd repo sign /srv/repo --keys /media/offline    # add a signature; publish when it was the last one`;

export function register(group: Command, context: CliContext): void {
  group
    .command('sign')
    .description('show what waits for signatures, or sign it (see --sign-later of other commands)')
    .argument('<repo>', "the repository's directory, or a copy of its metadata/ and .pending/")
    .option('--keys <dir>', 'directory of the key files; without it, nothing is signed')
    .option('--discard', 'drop what waits for signatures')
    .addOption(passphraseOption())
    .addHelpText('after', EXAMPLES)
    .action(async (repo: string, options: SignOptions, command: Command) => {
      const { describePending, discardPending, signPending } = await import('../../../repository/sign.ts');
      const { KeyRing } = await import('../../../repository/key-ring.ts');
      const output = outputOf(command, context);
      const directory = resolve(context.workingDirectory, repo);
      const { keys } = options;
      if (keys === undefined && !options.discard) {
        const changes = await describePending(directory);
        if (changes.length === 0) {
          throw new OsupdError('nothing-to-do', 'nothing waits for signatures', { where: directory });
        }
        output.result({ changes }, () => changes.map(describe).join('\n'));
        return;
      }
      if (keys === undefined || options.discard) {
        await discardPending({ directory, ring: KeyRing.empty(), now: context.now() });
        output.result({ discarded: true }, 'dropped what waited for signatures');
        return;
      }
      const ring = await openRing({ ...options, keys }, context, output);
      const signed = await signPending({ directory, ring, now: context.now() });
      output.result(signed, () => {
        const last = signed.waiting.length > 0 ? waitingText(signed.waiting) : '\nall signatures are there: published';
        return signed.changes.map(describe).join('\n') + last;
      });
    });
}

function describe({ role, version, expires, signatures, threshold, ...change }: PendingChange): string {
  return [
    `${role} version ${version}, until ${expires}: ${signatures} of ${threshold} signatures`,
    ...change.changed.map((target) => `  + ${target}`),
    ...change.removed.map((target) => `  - ${target}`),
    ...change.rekeyed.map((name) => `  other keys for role "${name}"`),
  ].join('\n');
}
