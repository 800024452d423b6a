/** `osupd delta info` */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { DeltaHead } from '../../../delta/apply.ts';
import type { CliContext } from '../../context.ts';
import { formatBytes, outputOf } from '../../output.ts';

const EXAMPLES = `
Example:
  osupd delta info update.osd`;

export function register(group: Command, context: CliContext): void {
  group
    .command('info')
    .description('print what a delta file leads from and to, and what it is made of')
    .argument('<file>', 'the delta')
    .addHelpText('after', EXAMPLES)
    .action(async (file: string, _options: object, command: Command) => {
      const { openDeltaFile } = await import('../../../delta/delta-file.ts');
      const output = outputOf(command, context);
      const { head } = await openDeltaFile(resolve(context.workingDirectory, file));
      const facts = factsOf(head);
      output.result({ file, ...facts }, () => describe(facts));
    });
}

function factsOf(head: DeltaHead) {
  const { from, to, images, records } = head.header;
  const codecs: Record<string, { records: number; bytes: number }> = {};
  for (const { codec, stored } of records) {
    codecs[codec] ??= { records: 0, bytes: 0 };
    codecs[codec].records++;
    codecs[codec].bytes += stored;
  }
  return {
    size: head.size + head.payloadSize,
    head: head.size,
    images: images.reduce((sum, { stored }) => sum + stored, 0),
    payload: head.payloadSize,
    from,
    to,
    objects: records.reduce((sum, { members }) => sum + members.length, 0),
    records: records.length,
    codecs,
  };
}

function describe({
  size,
  head,
  images,
  payload,
  from,
  to,
  objects,
  records,
  codecs,
}: ReturnType<typeof factsOf>): string {
  return [
    ...(from.length === 0 ? ['from     nothing'] : from.map((digest) => `from     ${digest}`)),
    ...to.map((digest) => `to       ${digest}`),
    `size     ${formatBytes(size)}: head ${formatBytes(head)} (images ${formatBytes(images)}), payload ${formatBytes(payload)}`,
    `objects  ${objects} in ${records} records`,
    ...Object.entries(codecs).map(
      ([codec, used]) => `codec    ${codec}: ${used.records} records, ${formatBytes(used.bytes)}`,
    ),
  ].join('\n');
}
