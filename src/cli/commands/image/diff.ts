/** `osupd image diff`: what differs between the trees of two images. */
import type { Command } from 'commander';
import type { CliContext } from '../../context.ts';
import { outputOf } from '../../output.ts';

const EXAMPLES = `
Example:
  osupd image diff old.img new.img`;

export function register(group: Command, context: CliContext): void {
  group
    .command('diff')
    .description('list what the second image adds (A), modifies (M) and deletes (D)')
    .argument('<before>', 'an image file')
    .argument('<after>', 'another one')
    .addHelpText('after', EXAMPLES)
    .action(async (before: string, after: string, _options: object, command: Command) => {
      const { inputName, readImageInput } = await import('../../read-input.ts');
      const { decodeImage } = await import('../../../image/read.ts');
      const { compareTrees } = await import('../../../tree/compare.ts');
      const { differenceLine, plainDifference } = await import('../../difference-text.ts');
      const { writeLines } = await import('../../write-lines.ts');
      const output = outputOf(command, context);
      const read = async (name: string) => decodeImage(await readImageInput(name, context), inputName(name));
      const differences = compareTrees(await read(before), await read(after));
      if (output.json) output.result({ before, after, differences: differences.map(plainDifference) }, '');
      else await writeLines(output, differences.values().map(differenceLine));
    });
}
