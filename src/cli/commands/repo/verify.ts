/** `osupd repo verify` */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { countOf } from '../../../core/count.ts';
import { OsupdError } from '../../../core/errors.ts';
import type { CliContext } from '../../context.ts';
import { outputOf } from '../../output.ts';

export function register(group: Command, context: CliContext): void {
  group
    .command('verify')
    .description('check signatures, expiry, and every file that a device could ask for')
    .argument('<repo>', "the repository's directory")
    .option('--quick', 'do not read the contents of objects')
    .addHelpText('after', '\nExample:\n  osupd repo verify /srv/repo')
    .action(async (repo: string, options: { quick?: boolean }, command: Command) => {
      const { verifyRepository } = await import('../../../repository/verify.ts');
      const output = outputOf(command, context);
      const directory = resolve(context.workingDirectory, repo);
      const scratch = await mkdtemp(join(context.environment.TMPDIR ?? tmpdir(), 'osupd-verify-'));
      try {
        const verified = await verifyRepository({
          directory,
          scratch,
          now: context.now(),
          quick: options.quick ?? false,
          progress: output.progress,
          signal: context.signal,
        });
        const { problems, releases, channels, deltas, objects } = verified;
        for (const { where, what } of problems) output.line(`${where}: ${what}`);
        if (problems.length > 0) {
          throw new OsupdError('damaged-repository', countOf(problems.length, 'problem'), {
            where: repo,
            remedy: 'osupd repo refresh signs again what has expired; osupd repo publish makes missing files again',
            facts: { ...verified },
          });
        }
        output.result(
          verified,
          `good: ${countOf(releases, 'release')}, ${countOf(channels, 'channel')}, ${countOf(deltas, 'delta')}, ${countOf(objects, 'object')}`,
        );
      } finally {
        await rm(scratch, { recursive: true, force: true });
      }
    });
}
