/** `osupd image explain`: every byte of an image in words. */
import type { Command } from 'commander';
import type { CliContext } from '../../context.ts';
import { outputOf } from '../../output.ts';

const EXAMPLES = `
Each line is the offset, the number of bytes, the field and its value, under a line that names the structure.

Example:
  osupd image explain os.img | less
  diff <(osupd image explain a.img) <(osupd image explain b.img)`;

export function register(group: Command, context: CliContext): void {
  group
    .command('explain')
    .description('explain every range of bytes of an image')
    .argument('<image>', 'the image file; - for standard input')
    .addHelpText('after', EXAMPLES)
    .action(async (image: string, _options: object, command: Command) => {
      const { inputName, readImageInput } = await import('../../read-input.ts');
      const { explainImage } = await import('../../../image/explain.ts');
      const { writeLines } = await import('../../write-lines.ts');
      const lines = explainImage(await readImageInput(image, context), inputName(image));
      await writeLines(outputOf(command, context), lines);
    });
}
