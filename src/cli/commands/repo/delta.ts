/** `osupd repo delta` */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { AddedDelta } from '../../../repository/add-delta.ts';
import type { CliContext } from '../../context.ts';
import { formatBytes, outputOf } from '../../output.ts';
import {
  effortOption,
  type KeyOptions,
  keysOption,
  openRing,
  passphraseOption,
  several,
  signLaterOption,
  waitingText,
} from '../../repository-options.ts';

interface DeltaOptions extends KeyOptions {
  readonly from?: string[];
  readonly to: string[];
  readonly effort: number;
  readonly signLater?: boolean;
}

const EXAMPLES = `
Examples:
  osupd repo delta /srv/repo --keys ./keys --from os@1 --to os@2
  osupd repo delta /srv/repo --keys ./keys --from os@1 --from apps@7 --to os@2 --to apps@8`;

export function register(group: Command, context: CliContext): void {
  group
    .command('delta')
    .description('make a delta between published releases')
    .argument('<repo>', "the repository's directory")
    .addOption(keysOption())
    .option('--from <release>', 'NAME@VERSION that devices have; repeatable; none: a delta from nothing', several)
    .requiredOption('--to <release>', 'NAME@VERSION that it leads to; repeatable', several)
    .addOption(effortOption())
    .addOption(signLaterOption())
    .addOption(passphraseOption())
    .addHelpText('after', EXAMPLES)
    .action(async (repo: string, options: DeltaOptions, command: Command) => {
      const { addDelta } = await import('../../../repository/add-delta.ts');
      const { parseReleaseReference } = await import('../../../repository/layout.ts');
      const output = outputOf(command, context);
      const added = await addDelta({
        directory: resolve(context.workingDirectory, repo),
        ring: await openRing(options, context, output),
        from: (options.from ?? []).map(parseReleaseReference),
        to: options.to.map(parseReleaseReference),
        effort: options.effort,
        now: context.now(),
        signLater: options.signLater,
        progress: output.progress,
      });
      output.result(added, () => {
        const from = options.from?.join(' + ') ?? 'nothing';
        return `delta from ${from} to ${options.to.join(' + ')}: ${describe(added)}${waitingText(added.waiting)}`;
      });
    });
}

function describe({ delta, kept, changed, without, waiting }: AddedDelta): string {
  const size = formatBytes(delta.size);
  if (!kept) return `not kept: its ${size} are no less than the ${formatBytes(without)} that devices fetch without it`;
  const first = changed || waiting.length > 0 ? '' : 'there already, nothing changed: ';
  return `${first}${size}, of it ${formatBytes(delta.head.size)} for the image; without it ${formatBytes(without)}`;
}
