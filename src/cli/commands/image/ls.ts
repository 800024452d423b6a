/** `osupd image ls`: the names in an image. */
import type { Command } from 'commander';
import type { CliContext } from '../../context.ts';
import { outputOf } from '../../output.ts';

const EXAMPLES = `
Example:
  osupd image ls os.img`;

export function register(group: Command, context: CliContext): void {
  group
    .command('ls')
    .description('list the names in an image, with targets and objects, as composefs-info ls does')
    .argument('<image>', 'the image file; - for standard input')
    .addHelpText('after', EXAMPLES)
    .action(async (image: string, _options: object, command: Command) => {
      const { inputName, readImageInput } = await import('../../read-input.ts');
      const { decodeImage } = await import('../../../image/read.ts');
      const { listTree, plainEntries } = await import('../../../image/listing.ts');
      const { writeLines } = await import('../../write-lines.ts');
      const output = outputOf(command, context);
      const tree = decodeImage(await readImageInput(image, context), inputName(image));
      if (output.json) output.result({ image, entries: [...plainEntries(tree)] }, '');
      else await writeLines(output, listTree(tree));
    });
}
