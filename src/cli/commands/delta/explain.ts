/** `osupd delta explain` */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { OsupdError } from '../../../core/errors.ts';
import type { DeltaFile } from '../../../delta/delta-file.ts';
import type { CliContext } from '../../context.ts';
import { type Output, outputOf } from '../../output.ts';
import { writeLines } from '../../write-lines.ts';

interface ExplainOptions {
  readonly sections?: true;
  readonly pool?: string;
}

const EXAMPLES = `
Objects are counted, not named: a delta holds no digest of an object. New objects are those that only the images it leads
to have; bases are counted among the objects of the images it starts from, then the new ones.

Records of the codec difference have a line for each segment; streams that are not coded adaptively are "packed".
Records of the codec unpacked hold what is in compressed files; "decisions" are what gives the compressed bytes back, and bases
that are "contained" are files in the archives of an initrd.

With --sections, which needs a pool with the images of both sides, the stored bytes of difference records are shared out among the
sections of the new files: "differing" are copied bytes that the old files, projected, do not have, "new" are those that come
from nowhere.

Examples:
  osupd delta explain update.osd
  osupd delta explain update.osd --pool ./pool --sections`;

export function register(group: Command, context: CliContext): void {
  group
    .command('explain')
    .description('print every part of a delta file')
    .argument('<file>', 'the delta')
    .option('--sections', 'print instead which sections of ELF files take the bytes')
    .option('--pool <dir>', 'pool with the images on both sides, for --sections')
    .addHelpText('after', EXAMPLES)
    .action(async (file: string, options: ExplainOptions, command: Command) => {
      const { openDeltaFile } = await import('../../../delta/delta-file.ts');
      const output = outputOf(command, context);
      const delta = await openDeltaFile(resolve(context.workingDirectory, file));
      if (options.sections) await explainSections(delta, options, output, context);
      else await explain(delta, output);
    });
}

async function explain(delta: DeltaFile, output: Output): Promise<void> {
  const { explainDelta } = await import('../../../delta/explain.ts');
  const { head } = delta;
  if (output.json) output.result({ ...head.header, headBytes: head.size, payloadBytes: head.payloadSize }, '');
  else await writeLines(output, linesOf(explainDelta(delta)));
}

async function explainSections(
  delta: DeltaFile,
  { pool }: ExplainOptions,
  output: Output,
  context: CliContext,
): Promise<void> {
  const { explainSections } = await import('../../../delta/sections/explain-sections.ts');
  const { formatSections } = await import('../../../delta/sections/section-table.ts');
  const { Pool } = await import('../../../objects/pool.ts');
  if (pool === undefined)
    throw new OsupdError('usage', '--sections needs --pool', { remedy: 'name a pool with the images on both sides' });
  const store = await Pool.open(resolve(context.workingDirectory, pool));
  const sections = await explainSections(delta, store, output.progress);
  const others = otherCodecs(delta);
  output.result({ sections, others }, () =>
    [
      ...formatSections(sections),
      '',
      ...Object.entries(others).map(([codec, bytes]) => `${bytes} bytes of the codec ${codec} are not among these`),
    ].join('\n'),
  );
}

/** Stored bytes of the records that sections tell nothing of. */
function otherCodecs({ head }: DeltaFile): Record<string, number> {
  const others: Record<string, number> = {};
  for (const { codec, stored } of head.header.records)
    if (codec !== 'difference') others[codec] = (others[codec] ?? 0) + stored;
  return others;
}

async function* linesOf(lines: AsyncIterable<string>): AsyncGenerator<string> {
  for await (const line of lines) yield `${line}\n`;
}
