/** `osupd delta make` */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { DeltaImage, DeltaSummary } from '../../../delta/write.ts';
import type { Pool } from '../../../objects/pool.ts';
import type { CliContext } from '../../context.ts';
import { formatBytes, outputOf } from '../../output.ts';
import { effortOption, several } from '../../repository-options.ts';

interface MakeOptions {
  readonly pool: string;
  readonly from?: string[];
  readonly to: string[];
  readonly effort: number;
}

const EXAMPLES = `
An image is NAME@VERSION of a build in the pool, or a digest.

Examples:
  osupd delta make --pool ./pool --from os@1 --to os@2 update.osd
  osupd delta make --pool ./pool --to os@2 install.osd`;

export function register(group: Command, context: CliContext): void {
  group
    .command('make')
    .description('make a delta file between images of a pool')
    .argument('<out>', 'the delta file')
    .requiredOption('--pool <dir>', 'the pool with the images and their objects')
    .option('--from <image>', 'image that the device has; repeatable; none: a delta from nothing', several)
    .requiredOption('--to <image>', 'image that it leads to; repeatable', several)
    .addOption(effortOption())
    .addHelpText('after', EXAMPLES)
    .action(async (out: string, options: MakeOptions, command: Command) => {
      const { Pool } = await import('../../../objects/pool.ts');
      const { writeDeltaFile } = await import('../../../delta/delta-file.ts');
      const output = outputOf(command, context);
      const { progress } = output;
      const { effort } = options;
      const began = context.now().getTime();
      const store = await Pool.open(resolve(context.workingDirectory, options.pool));
      const from = await readImages(options.from ?? [], store);
      const to = await readImages(options.to, store);
      const path = resolve(context.workingDirectory, out);
      const summary = await writeDeltaFile(path, { from, to, store, effort, progress });
      const seconds = (context.now().getTime() - began) / 1000;
      output.result({ file: out, ...summary, seconds }, () => describe(summary, seconds, output.verbose));
    });
}

async function readImages(words: readonly string[], pool: Pool): Promise<DeltaImage[]> {
  const { decodeImage } = await import('../../../image/read.ts');
  const { isDigest } = await import('../../../core/digest.ts');
  const { readBuildRecord } = await import('../../../repository/build-record.ts');
  const { parseReleaseReference } = await import('../../../repository/layout.ts');
  const images: DeltaImage[] = [];
  for (const word of words) {
    const digest = isDigest(word)
      ? word
      : (await readBuildRecord(pool.directory, parseReleaseReference(word))).image.digest;
    const bytes = await pool.readImage(digest);
    images.push({ digest, bytes, tree: decodeImage(bytes, digest) });
  }
  return images;
}

function describe({ size, head, objects, records, ...parts }: DeltaSummary, seconds: number, verbose: boolean): string {
  const kinds = Object.entries(parts.byKind).sort(([, a], [, b]) => b.stored - a.stored);
  const share = (name: string, { objects: count, raw, stored }: { objects: number; raw: number; stored: number }) =>
    `  ${name.padEnd(12)}${String(count).padStart(7)} objects  ${formatBytes(raw).padStart(9)} -> ${formatBytes(stored)}`;
  return [
    `size     ${formatBytes(size)}, of it ${formatBytes(head.size)} for the images`,
    `objects  ${objects.count} new, ${formatBytes(objects.bytes)}, in ${records} records`,
    ...kinds.map(([kind, bytes]) => share(kind, bytes)),
    ...Object.entries(parts.byCodec).map(([codec, bytes]) => share(codec, bytes)),
    ...(verbose
      ? [
          'largest',
          ...parts.largest.map(({ path, codec, stored }) => `  ${formatBytes(stored).padStart(9)}  ${codec}  ${path}`),
        ]
      : []),
    `time     ${seconds.toFixed(1)} s`,
  ].join('\n');
}
