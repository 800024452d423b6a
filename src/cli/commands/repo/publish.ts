/** `osupd repo publish` */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { PublishedRelease } from '../../../repository/publish.ts';
import type { CliContext } from '../../context.ts';
import { formatBytes, outputOf } from '../../output.ts';
import {
  effortOption,
  type KeyOptions,
  keysOption,
  openRing,
  passphraseOption,
  signLaterOption,
  waitingText,
} from '../../repository-options.ts';

interface PublishOptions extends KeyOptions {
  readonly signLater?: boolean;
  readonly pool: string;
  readonly full: boolean;
  readonly effort: number;
}

export function register(group: Command, context: CliContext): void {
  group
    .command('publish')
    .description('publish releases that were built into a pool')
    .argument('<repo>', "the repository's directory")
    .argument('<release...>', 'NAME@VERSION')
    .addOption(keysOption())
    .requiredOption('--pool <dir>', 'the pool that osupd build filled')
    .option('--no-full', 'make no delta from nothing; first installations then fetch single objects')
    .addOption(effortOption(6))
    .addOption(signLaterOption())
    .addOption(passphraseOption())
    .addHelpText('after', '\nExample:\n  osupd repo publish /srv/repo --keys ./keys --pool ./pool os@1')
    .action(async (repo: string, names: string[], options: PublishOptions, command: Command) => {
      const { publishReleases } = await import('../../../repository/publish.ts');
      const { parseReleaseReference } = await import('../../../repository/layout.ts');
      const output = outputOf(command, context);
      const published = await publishReleases({
        directory: resolve(context.workingDirectory, repo),
        ring: await openRing(options, context, output),
        pool: resolve(context.workingDirectory, options.pool),
        releases: names.map(parseReleaseReference),
        now: context.now(),
        signLater: options.signLater,
        effort: options.effort,
        full: options.full,
        progress: output.progress,
        signal: context.signal,
      });
      output.result(published, () => published.releases.map(describe).join('\n') + waitingText(published.waiting));
    });
}

function describe({ release, isNew, addedObjects, addedDelta }: PublishedRelease): string {
  const { name, version, image, objects } = release;
  const full = addedDelta === undefined ? '' : `, full delta of ${formatBytes(addedDelta.size)}`;
  if (isNew) {
    const what = `image ${image.digest.slice(0, 12)}, ${objects.count} objects of ${formatBytes(objects.bytes)}`;
    return `published ${name}@${version}: ${what}, ${addedObjects} of them new${full}`;
  }
  const restored = addedObjects === 0 ? '' : `, ${addedObjects} missing objects restored`;
  return `${name}@${version} is published already${restored + full || ': nothing changed'}`;
}
