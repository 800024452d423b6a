/** `osupd delta explain` */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { CliContext } from '../../context.ts';
import { outputOf } from '../../output.ts';

const EXAMPLES = `
Objects are counted, not named: a delta holds no digest of an object. New objects are those that only the images it leads
to have; bases are counted among the objects of the images it starts from, then the new ones.

Example:
  osupd delta explain update.osd`;

export function register(group: Command, context: CliContext): void {
  group
    .command('explain')
    .description('print every part of a delta file')
    .argument('<file>', 'the delta')
    .addHelpText('after', EXAMPLES)
    .action(async (file: string, _options: object, command: Command) => {
      const { openDeltaFile } = await import('../../../delta/delta-file.ts');
      const { explainDelta } = await import('../../../delta/explain.ts');
      const { writeLines } = await import('../../write-lines.ts');
      const output = outputOf(command, context);
      const { head } = await openDeltaFile(resolve(context.workingDirectory, file));
      if (output.json) output.result({ ...head.header, headBytes: head.size, payloadBytes: head.payloadSize }, '');
      else await writeLines(output, linesOf(explainDelta(head)));
    });
}

function* linesOf(lines: Iterable<string>): Generator<string> {
  for (const line of lines) yield `${line}\n`;
}
