/** The tables that zstd's encoder gives the columns of a block's sequences (the source of version 1.5.4 is the reference). */
import { BitWriter } from './bits.ts';
import type { ColumnForm } from './decisions.ts';
import {
  COLUMN_RULES,
  COLUMNS,
  type Column,
  OFFSET,
  TABLE_DESCRIBED,
  TABLE_PREDEFINED,
  TABLE_REPEATED,
  TABLE_RLE,
} from './format.ts';
import { type EncodingTable, writeDistribution } from './fse-table.ts';
import { fittingLog, normalize } from './normalize.ts';
import { LAZY } from './parameters.ts';
import type { SequenceCodes } from './sequence-codes.ts';

/** From so many sequences on a rare code gets less than one state. */
const LOW_COUNT = 2048;

/** Costs are in 1/256 of a bit. */
const COST_BITS = 8;
const DESCRIPTION_ROOM = 512;

/** floor(256 * log2(256 / i)): what a code costs that has i of 256 parts. */
const COSTS = Uint16Array.from({ length: 257 }, (_, parts) =>
  parts === 0 ? 0 : 2048 - (BigInt(parts) ** 256n - 1n).toString(2).length + (parts === 1 ? 1 : 0),
);

const IMPOSSIBLE = Number.POSITIVE_INFINITY;

/** @param previous by column the table that could serve again. */
export function predictColumns(
  codes: SequenceCodes,
  previous: readonly (EncodingTable | undefined)[],
  strategy: number,
): ColumnForm[] {
  const forms: ColumnForm[] = [];
  for (let column = 0; column < COLUMNS; column++)
    forms.push(predictColumn(codes, column, COLUMN_RULES[column]!, previous[column], strategy));
  return forms;
}

function predictColumn(
  codes: SequenceCodes,
  column: number,
  rules: Column,
  previous: EncodingTable | undefined,
  strategy: number,
): ColumnForm {
  const histogram = codes.histograms[column]!;
  const { count } = codes;
  const maxCode = codes.maxCode(column);
  let most = 0;
  for (const occurs of histogram) if (occurs > most) most = occurs;
  const canDefault = column !== OFFSET || maxCode < rules.defaults.length;
  const mode = modeOf(histogram, maxCode, most, count, rules, canDefault, previous, strategy);
  if (mode === TABLE_RLE) return { mode, description: Uint8Array.of(maxCode) };
  if (mode !== TABLE_DESCRIBED) return { mode, description: undefined };
  const log = fittingLog(rules.maxLog, count, maxCode);
  // The last code is coded by the first state: it takes part in the counts where it is the only one of its kind.
  const last = codes.lastCode(column);
  const isSpared = histogram[last]! > 1;
  if (isSpared) histogram[last]!--;
  const description = describe(histogram, maxCode, isSpared ? count - 1 : count, log);
  if (isSpared) histogram[last]!++;
  return { mode, description };
}

function modeOf(
  histogram: Uint32Array,
  maxCode: number,
  most: number,
  count: number,
  rules: Column,
  canDefault: boolean,
  previous: EncodingTable | undefined,
  strategy: number,
): number {
  if (most === count) return canDefault && count <= 2 ? TABLE_PREDEFINED : TABLE_RLE;
  if (strategy < LAZY) {
    const least = ((1 << rules.defaultLog) * (10 - strategy)) >> 3;
    const isFlat = count < least || most < count >> (rules.defaultLog - 1);
    return canDefault && isFlat ? TABLE_PREDEFINED : TABLE_DESCRIBED;
  }
  const defaultCost = canDefault ? costByCounts(rules, histogram, maxCode) : IMPOSSIBLE;
  const repeatedCost = previous === undefined ? IMPOSSIBLE : costByTable(previous, histogram, maxCode);
  const log = fittingLog(rules.maxLog, count, maxCode);
  const describedCost = 8 * describe(histogram, maxCode, count, log).length + entropy(histogram, maxCode, count);
  if (defaultCost <= repeatedCost && defaultCost <= describedCost) return TABLE_PREDEFINED;
  return repeatedCost <= describedCost ? TABLE_REPEATED : TABLE_DESCRIBED;
}

function describe(histogram: Uint32Array, maxCode: number, count: number, log: number): Uint8Array {
  const counts = normalize(log, histogram, maxCode, count, count >= LOW_COUNT ? -1 : 1);
  const out = new Uint8Array(DESCRIPTION_ROOM);
  const bits = new BitWriter(out, 0);
  writeDistribution(bits, { log, counts });
  return out.slice(0, bits.finish());
}

/** Bits of all codes by what is possible at best. */
function entropy(histogram: Uint32Array, maxCode: number, count: number): number {
  let cost = 0;
  for (let code = 0; code <= maxCode; code++) {
    const occurs = histogram[code]!;
    if (occurs === 0) continue;
    cost += occurs * COSTS[Math.max(1, Math.floor((256 * occurs) / count))]!;
  }
  return Math.floor(cost / 2 ** COST_BITS);
}

/** Bits by the table that needs no description. */
function costByCounts({ defaults, defaultLog }: Column, histogram: Uint32Array, maxCode: number): number {
  let cost = 0;
  for (let code = 0; code <= maxCode; code++)
    cost += histogram[code]! * COSTS[Math.abs(defaults[code]!) << (COST_BITS - defaultLog)]!;
  return Math.floor(cost / 2 ** COST_BITS);
}

/** Bits by a table, if it can code all that occur. */
function costByTable(table: EncodingTable, histogram: Uint32Array, maxCode: number): number {
  if (table.counts.length <= maxCode) return IMPOSSIBLE;
  let cost = 0;
  for (let code = 0; code <= maxCode; code++) {
    if (histogram[code] === 0) continue;
    if (!table.codes(code)) return IMPOSSIBLE;
    const bits = table.bits[code]!;
    const above = (bits >> 16) + 1;
    const below = (above << 16) - (bits + (1 << table.log));
    cost += histogram[code]! * ((above << COST_BITS) - ((below << COST_BITS) >> table.log));
  }
  return Math.floor(cost / 2 ** COST_BITS);
}
