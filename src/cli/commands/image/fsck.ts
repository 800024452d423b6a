/** `osupd image fsck`: is an image what its tree's image must be? */
import { basename } from 'node:path';
import type { Command } from 'commander';
import { asDigest, isDigest } from '../../../core/digest.ts';
import { OsupdError } from '../../../core/errors.ts';
import type { CliContext } from '../../context.ts';
import { outputOf } from '../../output.ts';

const EXAMPLES = `
An image whose file is named by a digest is checked against that too. Exit status 10 when something is wrong.

Examples:
  osupd image fsck os.img
  osupd image fsck os.img --digest 8f589e8f57ec…`;

export function register(group: Command, context: CliContext): void {
  group
    .command('fsck')
    .description('check an image: structure, every byte, and its digest where that is known')
    .argument('<image>', 'the image file; - for standard input')
    .option('--digest <hex>', 'the digest that it should have')
    .addHelpText('after', EXAMPLES)
    .action((image: string, options: { digest?: string }, command: Command) => fsck(image, options, command, context));
}

async function fsck(name: string, options: { digest?: string }, command: Command, context: CliContext): Promise<void> {
  const { inputName, readImageInput } = await import('../../read-input.ts');
  const { checkImage } = await import('../../../image/check.ts');
  const output = outputOf(command, context);
  const own = basename(name);
  const digest =
    options.digest === undefined ? (isDigest(own) ? own : undefined) : asDigest(options.digest, '--digest');
  const problems = checkImage(await readImageInput(name, context), digest === undefined ? {} : { digest });
  output.result(
    { image: name, problems },
    problems
      .map(({ kind, what, offset }) => `${name}: ${kind}${offset === undefined ? '' : ` at byte ${offset}`}: ${what}`)
      .join('\n'),
  );
  if (problems.length > 0)
    throw new OsupdError('damaged-image', `${problems.length} ${problems.length === 1 ? 'problem' : 'problems'}`, {
      where: inputName(name),
      remedy: 'get the image again',
    });
}
