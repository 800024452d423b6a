/** `osupd image info`: what an image is and what it holds, in numbers. */
import type { Command } from 'commander';
import type { CliContext } from '../../context.ts';
import { formatBytes, outputOf } from '../../output.ts';

const EXAMPLES = `
Examples:
  osupd image info os.img
  osupd image info --objects os.img | wc -l`;

export function register(group: Command, context: CliContext): void {
  group
    .command('info')
    .description('show version, digest and contents of an image in numbers')
    .argument('<image>', 'the image file; - for standard input')
    .option('--objects', 'list the paths of the objects that it names instead, as composefs-info objects does')
    .addHelpText('after', EXAMPLES)
    .action((image: string, options: { objects?: boolean }, command: Command) =>
      info(image, options, command, context),
    );
}

async function info(
  name: string,
  options: { objects?: boolean },
  command: Command,
  context: CliContext,
): Promise<void> {
  const { inputName, readImageInput } = await import('../../read-input.ts');
  const { ImageReader } = await import('../../../image/read.ts');
  const { objectPaths, summarizeTree } = await import('../../../image/listing.ts');
  const { fsverityDigest } = await import('../../../objects/fsverity.ts');
  const { escapeField } = await import('../../../tree/dump-escape.ts');
  const output = outputOf(command, context);
  const bytes = await readImageInput(name, context);
  const { superblock, tree } = new ImageReader(bytes, inputName(name)).read();
  if (options.objects === true) {
    const objects = objectPaths(tree).map(escapeField);
    output.result({ image: name, objects }, objects.join('\n'));
    return;
  }
  const { version, hasAcl, inodes, buildTime } = superblock;
  const summary = summarizeTree(tree);
  const digest = fsverityDigest(bytes);
  const time = `${buildTime.seconds}.${buildTime.nanoseconds}`;
  output.result(
    { image: name, digest, version, bytes: bytes.length, inodes, hasAcl, oldestMtime: time, tree: summary },
    () =>
      rows([
        ['digest', digest],
        ['format version', `${version}${hasAcl ? ', with ACLs' : ''}`],
        ['image', `${formatBytes(bytes.length)}, ${inodes} inodes, oldest mtime ${time}`],
        ['names', `${summary.names}, of these ${summary.hardLinks} further names of files`],
        ['directories', String(summary.directories)],
        ['files', `${summary.files} (${formatBytes(summary.bytes)})`],
        ['  in the image', `${summary.inline.files} (${formatBytes(summary.inline.bytes)})`],
        ['  objects', `${summary.objects.count} (${formatBytes(summary.objects.bytes)})`],
        ['symlinks', String(summary.symlinks)],
        ['devices', String(summary.devices)],
        ['pipes, sockets', String(summary.pipesAndSockets)],
        ['whiteouts', String(summary.whiteouts)],
      ]),
  );
}

function rows(items: readonly (readonly [string, string])[]): string {
  return items.map(([name, value]) => `${name.padEnd(16)} ${value}`).join('\n');
}
