/** Codes the form of a block: that of zstd's encoder, or what is otherwise. */
import { damagedDelta } from '../../damage.ts';
import type { BlockWriter } from './block-writer.ts';
import { type DecisionModels, FLAGS } from './decision-models.ts';
import { type BlockForm, type ColumnForm, isSameDescription, type LiteralsForm } from './decisions.ts';
import { COLUMNS, LITERALS_COMPRESSED, TABLE_DESCRIBED, TABLE_RLE } from './format.ts';
import { MAX_DESCRIPTION_BYTES } from './huffman-table.ts';
import { codesLiterals } from './parameters.ts';
import type { Settings } from './settings.ts';

/** @throws OsupdError `damaged-delta` */
export function codeForm(
  models: DecisionModels,
  writer: BlockWriter,
  { parameters }: Settings,
  sequenceCount: number,
  truth: BlockForm | undefined,
): BlockForm {
  const { strategy } = parameters;
  const literals = codeLiterals(models, writer.predictLiterals(strategy, codesLiterals(parameters)), truth?.literals);
  if (sequenceCount === 0) return { literals, columns: [] };
  const foretold = writer.predictColumns(strategy);
  const columns: ColumnForm[] = [];
  for (let column = 0; column < COLUMNS; column++)
    columns.push(codeColumn(models, column, foretold[column]!, truth?.columns[column]));
  return { literals, columns };
}

function codeLiterals(models: DecisionModels, foretold: LiteralsForm, truth: LiteralsForm | undefined): LiteralsForm {
  const isOther =
    truth !== undefined &&
    (truth.mode !== foretold.mode ||
      truth.sizeFormat !== foretold.sizeFormat ||
      !isSameDescription(truth.description, foretold.description));
  if (!models.flag(FLAGS.literals, 0, isOther)) return foretold;
  const mode = models.kind(foretold.mode, truth?.mode ?? 0);
  const sizeFormat = models.kind(foretold.sizeFormat, truth?.sizeFormat ?? 0);
  const description = mode === LITERALS_COMPRESSED ? codeDescription(models, truth?.description) : undefined;
  return { mode, sizeFormat, description };
}

function codeColumn(
  models: DecisionModels,
  column: number,
  foretold: ColumnForm,
  truth: ColumnForm | undefined,
): ColumnForm {
  const isOther =
    truth !== undefined &&
    (truth.mode !== foretold.mode || !isSameDescription(truth.description, foretold.description));
  if (!models.flag(FLAGS.column, column, isOther)) return foretold;
  const mode = models.kind(foretold.mode, truth?.mode ?? 0);
  const isDescribed = mode === TABLE_DESCRIBED || mode === TABLE_RLE;
  return { mode, description: isDescribed ? codeDescription(models, truth?.description) : undefined };
}

function codeDescription(models: DecisionModels, truth: Uint8Array | undefined): Uint8Array {
  const length = models.number(models.sizes, truth?.length ?? 0);
  if (length === 0 || length > MAX_DESCRIPTION_BYTES) throw damagedDelta('a table of a zstd frame is too long');
  const description = new Uint8Array(length);
  for (let at = 0; at < length; at++) description[at] = models.byte(truth?.[at] ?? 0);
  return description;
}
