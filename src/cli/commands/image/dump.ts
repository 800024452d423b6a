/** `osupd image dump`: an image's tree as dump text. */
import type { Command } from 'commander';
import type { CliContext } from '../../context.ts';
import { outputOf } from '../../output.ts';

const EXAMPLES = `
Examples:
  osupd image dump os.img | grep /usr/bin/
  osupd image dump --exact os.img | osupd image write --from-dump - same.img`;

export function register(group: Command, context: CliContext): void {
  group
    .command('dump')
    .description('print the tree of an image, as composefs-info dump does')
    .argument('<image>', 'the image file; - for standard input')
    .option(
      '--exact',
      'leave nothing out that decides the bytes of the image (which name of a hard-linked file has its inode, ...)',
    )
    .addHelpText('after', EXAMPLES)
    .action(async (image: string, { exact = false }: { exact?: boolean }, command: Command) => {
      const { inputName, readImageInput } = await import('../../read-input.ts');
      const { decodeImage } = await import('../../../image/read.ts');
      const { formatDump } = await import('../../../tree/dump.ts');
      const { writeLines } = await import('../../write-lines.ts');
      const tree = decodeImage(await readImageInput(image, context), inputName(image));
      await writeLines(outputOf(command, context), formatDump(tree, { exact }));
    });
}
