/** `osupd image write`: a metadata image from a dump text. */
import { type Command, Option } from 'commander';
import type { FormatVersion } from '../../../image/format.ts';
import type { CliContext } from '../../context.ts';
import { outputOf } from '../../output.ts';

interface WriteOptions {
  readonly fromDump: string;
  readonly minVersion?: '0' | '1';
  readonly maxVersion?: '0' | '1';
  readonly strict?: boolean;
  readonly printDigest?: boolean;
}

const EXAMPLES = `
Versions: an image has the lowest format version (0), unless its tree has overlayfs whiteouts, which need version 1.
With one of --min-version and --max-version given, the other is 0, and the maximum is never below the minimum.

Examples:
  osupd image write --from-dump tree.dump tree.img --print-digest
  composefs-info dump old.img | osupd image write --from-dump - new.img`;

export function register(group: Command, context: CliContext): void {
  group
    .command('write')
    .description('write a metadata image, byte for byte as mkcomposefs does')
    .argument('<out>', 'the image file; - for standard output')
    .requiredOption('--from-dump <dump>', 'the dump text; - for standard input')
    .addOption(new Option('--min-version <n>', 'lowest format version').choices(['0', '1']))
    .addOption(new Option('--max-version <n>', 'highest format version').choices(['0', '1']))
    .option('--strict', 'refuse odd lines of the dump that mean nothing')
    .option('--print-digest', 'print the digest of the image')
    .addHelpText('after', EXAMPLES)
    .action((out: string, options: WriteOptions, command: Command) => write(out, options, command, context));
}

async function write(out: string, options: WriteOptions, command: Command, context: CliContext): Promise<void> {
  const { inputName, readDumpInput } = await import('../../read-input.ts');
  const { parseDump } = await import('../../../tree/parse-dump.ts');
  const { encodeImage } = await import('../../../image/write.ts');
  const { fsverityDigest } = await import('../../../objects/fsverity.ts');
  const { writeBinaryOutput } = await import('../../write-output.ts');
  const output = outputOf(command, context);
  const dump = await readDumpInput(options.fromDump, context);
  const tree = parseDump(dump, { where: inputName(options.fromDump), strict: options.strict === true });
  const image = encodeImage(tree, versions(options));
  await writeBinaryOutput(out, image, output, context);
  const digest = fsverityDigest(image);
  const shown = options.printDigest === true ? digest : '';
  // Standard output is taken when the image went there.
  if (out === '-') output.note(shown);
  else output.result({ image: out, digest, bytes: image.length }, shown);
}

function versions({ minVersion, maxVersion }: WriteOptions): {
  minVersion?: FormatVersion;
  maxVersion?: FormatVersion;
} {
  if (minVersion === undefined && maxVersion === undefined) return {};
  return { minVersion: minVersion === '1' ? 1 : 0, maxVersion: maxVersion === '1' ? 1 : 0 };
}
