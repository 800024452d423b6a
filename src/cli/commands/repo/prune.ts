/** `osupd repo prune` */
import { resolve } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { CliContext } from '../../context.ts';
import { formatBytes, outputOf } from '../../output.ts';
import { type KeyOptions, openRing, parseDuration, passphraseOption } from '../../repository-options.ts';

interface PruneOptions extends Partial<KeyOptions> {
  readonly keep?: number;
  readonly grace: number;
  readonly dryRun?: boolean;
}

const EXAMPLES = `
Examples:
  osupd repo prune /srv/repo --keys ./keys --keep 5     # from a weekly timer
  osupd repo prune /srv/repo --keys ./keys os@1
  osupd repo prune /srv/repo --dry-run --keep 5`;

export function register(group: Command, context: CliContext): void {
  group
    .command('prune')
    .description('remove old releases, and files that nothing refers to any more')
    .argument('<repo>', "the repository's directory")
    .argument('[release...]', 'NAME@VERSION to remove; never one that a channel offers')
    .option('--keys <dir>', 'directory of the key files; needed to remove releases')
    .option('--keep <n>', 'keep so many releases of each name, and those that channels offer', parseCount)
    .addOption(
      new Option('--grace <span>', 'files stay this long after nothing refers to them')
        .argParser(parseDuration)
        .default(parseDuration('7d'), '7d'),
    )
    .option('--dry-run', 'say what would be removed')
    .addOption(passphraseOption())
    .addHelpText('after', EXAMPLES)
    .action(async (repo: string, names: string[], options: PruneOptions, command: Command) => {
      const { pruneRepository } = await import('../../../repository/prune.ts');
      const { KeyRing } = await import('../../../repository/key-ring.ts');
      const { parseReleaseReference } = await import('../../../repository/layout.ts');
      const output = outputOf(command, context);
      const { keys, dryRun = false } = options;
      const pruned = await pruneRepository({
        directory: resolve(context.workingDirectory, repo),
        ring: keys === undefined ? KeyRing.empty() : await openRing({ ...options, keys }, context, output),
        now: context.now(),
        remove: names.map(parseReleaseReference),
        keep: options.keep,
        grace: options.grace,
        dryRun,
      });
      output.result({ ...pruned, dryRun }, () => {
        const would = dryRun ? 'would remove' : 'removed';
        const later = pruned.waiting === 0 ? '' : `; ${pruned.waiting} more files when their grace period is over`;
        return [
          ...pruned.releases.map(({ name, version }) => `${would} ${name}@${version}`),
          `${would} ${pruned.files} files of ${formatBytes(pruned.bytes)}${later}`,
        ].join('\n');
      });
    });
}

function parseCount(text: string): number {
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new InvalidArgumentError('Use a number from 1 on.');
  return Number(text);
}
