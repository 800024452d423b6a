/** Writes the sequences section of a block (RFC 8878, 3.1.1.3.2): the inverse of read-sequences.ts. */
import { BitWriter } from './bits.ts';
import type { ColumnForm, Sequences } from './decisions.ts';
import {
  COLUMN_RULES,
  LITERAL_LENGTH,
  LITERAL_LENGTH_BASES,
  LITERAL_LENGTH_BITS,
  LONG_SEQUENCE_COUNT,
  MATCH_LENGTH,
  MATCH_LENGTH_BASES,
  MATCH_LENGTH_BITS,
  OFFSET,
} from './format.ts';
import { EncodingTable } from './fse-table.ts';
import type { SequenceCodes } from './sequence-codes.ts';

export const PREDEFINED_TABLES: readonly EncodingTable[] = COLUMN_RULES.map(
  ({ defaults, defaultLog }) => new EncodingTable({ log: defaultLog, counts: defaults }),
);

/** Writes how many sequences there are. @returns where it ends. */
export function writeSequenceCount(out: Uint8Array, start: number, count: number): number {
  let at = start;
  if (count < 128) out[at++] = count;
  else if (count < LONG_SEQUENCE_COUNT) {
    out[at++] = (count >>> 8) + 128;
    out[at++] = count;
  } else {
    out[at++] = 255;
    out[at++] = count - LONG_SEQUENCE_COUNT;
    out[at++] = (count - LONG_SEQUENCE_COUNT) >>> 8;
  }
  return at;
}

/** Writes the modes of the tables, then their descriptions. @returns where they end. */
export function writeColumns(out: Uint8Array, start: number, columns: readonly ColumnForm[]): number {
  let modes = 0;
  let at = start + 1;
  columns.forEach(({ mode, description }, column) => {
    modes |= mode << (6 - 2 * column);
    if (description === undefined) return;
    out.set(description, at);
    at += description.length;
  });
  out[start] = modes;
  return at;
}

/** Writes the stream of sequences `first` and on, whose codes these are, by tables for each column. @returns where it ends. */
export function writeSequences(
  out: Uint8Array,
  start: number,
  sequences: Sequences,
  first: number,
  codes: SequenceCodes,
  tables: readonly EncodingTable[],
): number {
  const { literalLengths, matchLengths, offsets } = sequences;
  const lengthCodes = codes.codes[LITERAL_LENGTH]!;
  const offsetCodes = codes.codes[OFFSET]!;
  const matchCodes = codes.codes[MATCH_LENGTH]!;
  const lengthTable = tables[LITERAL_LENGTH]!;
  const offsetTable = tables[OFFSET]!;
  const matchTable = tables[MATCH_LENGTH]!;
  const bits = new BitWriter(out, start);
  let lengthState = 0;
  let offsetState = 0;
  let matchState = 0;
  for (let at = codes.count - 1; at >= 0; at--) {
    const lengthCode = lengthCodes[at]!;
    const offsetCode = offsetCodes[at]!;
    const matchCode = matchCodes[at]!;
    if (at === codes.count - 1) {
      matchState = matchTable.firstState(matchCode);
      offsetState = offsetTable.firstState(offsetCode);
      lengthState = lengthTable.firstState(lengthCode);
    } else {
      const offsetWidth = (offsetState + offsetTable.bits[offsetCode]!) >>> 16;
      bits.add(offsetState & ((1 << offsetWidth) - 1), offsetWidth);
      offsetState = offsetTable.states[(offsetState >> offsetWidth) + offsetTable.offsets[offsetCode]!]!;
      const matchWidth = (matchState + matchTable.bits[matchCode]!) >>> 16;
      bits.add(matchState & ((1 << matchWidth) - 1), matchWidth);
      matchState = matchTable.states[(matchState >> matchWidth) + matchTable.offsets[matchCode]!]!;
      const lengthWidth = (lengthState + lengthTable.bits[lengthCode]!) >>> 16;
      bits.add(lengthState & ((1 << lengthWidth) - 1), lengthWidth);
      lengthState = lengthTable.states[(lengthState >> lengthWidth) + lengthTable.offsets[lengthCode]!]!;
    }
    const from = first + at;
    bits.add(literalLengths[from]! - LITERAL_LENGTH_BASES[lengthCode]!, LITERAL_LENGTH_BITS[lengthCode]!);
    bits.add(matchLengths[from]! - MATCH_LENGTH_BASES[matchCode]!, MATCH_LENGTH_BITS[matchCode]!);
    bits.addLong(offsets[from]! - 2 ** offsetCode, offsetCode);
  }
  bits.add(matchState - (1 << matchTable.log), matchTable.log);
  bits.add(offsetState - (1 << offsetTable.log), offsetTable.log);
  bits.add(lengthState - (1 << lengthTable.log), lengthTable.log);
  return bits.close();
}
