/** Reads the sequences section of a block (RFC 8878, 3.1.1.3.2). */
import { BackwardBits, notZstd } from './bits.ts';
import type { ColumnForm, Sequences } from './decisions.ts';
import {
  COLUMN_RULES,
  COLUMNS,
  LITERAL_LENGTH,
  LITERAL_LENGTH_BASES,
  LITERAL_LENGTH_BITS,
  LONG_SEQUENCE_COUNT,
  MATCH_LENGTH,
  MATCH_LENGTH_BASES,
  MATCH_LENGTH_BITS,
  OFFSET,
  TABLE_DESCRIBED,
  TABLE_PREDEFINED,
  TABLE_RLE,
} from './format.ts';
import { type DecodingTable, decodingTable, readDistribution, singleDecodingTable } from './fse-table.ts';

const PREDEFINED = COLUMN_RULES.map(({ defaults, defaultLog }) => decodingTable({ log: defaultLog, counts: defaults }));

/** Offsets of 31 bits and more reach farther than anything that is read. */
const MAX_OFFSET_CODE = 30;

export class SequencesReader {
  #tables: (DecodingTable | undefined)[] = [];

  /** Forgets the tables, at the begin of a frame. */
  reset(): void {
    this.#tables = [];
  }

  /** Reads all sequences to the end of the block. @throws OsupdError `unsupported` */
  read(bytes: Uint8Array, start: number, end: number, sequences: Sequences): ColumnForm[] {
    if (start >= end) throw notZstd('a block without sequences');
    let at = start + 1;
    let count = bytes[start]!;
    if (count >= 128) {
      if (count < 255) count = ((count - 128) << 8) + (bytes[at++] ?? 0);
      else {
        count = (bytes[at] ?? 0) + ((bytes[at + 1] ?? 0) << 8) + LONG_SEQUENCE_COUNT;
        at += 2;
      }
    }
    if (count === 0) {
      if (at !== end) throw notZstd('bytes behind the last section of a block');
      return [];
    }
    if (at >= end) throw notZstd('sequences that are cut off');
    const modes = bytes[at++]!;
    if ((modes & 3) !== 0) throw notZstd('reserved bits that are set');
    const columns: ColumnForm[] = [];
    for (let column = 0; column < COLUMNS; column++) {
      const { form, end: tableEnd } = this.#table(column, (modes >>> (6 - 2 * column)) & 3, bytes, at, end);
      columns.push(form);
      at = tableEnd;
    }
    this.#stream(new BackwardBits(bytes, at, end), count, sequences);
    return columns;
  }

  #table(column: number, mode: number, bytes: Uint8Array, at: number, end: number): { form: ColumnForm; end: number } {
    const { maxCode, maxLog } = COLUMN_RULES[column]!;
    let tableEnd = at;
    let description: Uint8Array | undefined;
    if (mode === TABLE_PREDEFINED) this.#tables[column] = PREDEFINED[column]!;
    else if (mode === TABLE_RLE) {
      if (at >= end || bytes[at]! > maxCode) throw notZstd('a code that there is not');
      this.#tables[column] = singleDecodingTable(bytes[at]!);
      tableEnd = at + 1;
    } else if (mode === TABLE_DESCRIBED) {
      const distribution = readDistribution(bytes, at, end, maxLog, maxCode);
      this.#tables[column] = decodingTable(distribution);
      tableEnd = distribution.end;
    } else if (this.#tables[column] === undefined) throw notZstd('a table that is repeated before the first one');
    if (mode === TABLE_RLE || mode === TABLE_DESCRIBED) description = bytes.subarray(at, tableEnd);
    return { form: { mode, description }, end: tableEnd };
  }

  #stream(stream: BackwardBits, count: number, sequences: Sequences): void {
    const lengths = this.#tables[LITERAL_LENGTH]!;
    const offsets = this.#tables[OFFSET]!;
    const matches = this.#tables[MATCH_LENGTH]!;
    let length = stream.read(lengths.log);
    let offset = stream.read(offsets.log);
    let match = stream.read(matches.log);
    for (let left = count; left > 0; left--) {
      const offsetCode = offsets.codes[offset]!;
      const matchCode = matches.codes[match]!;
      const lengthCode = lengths.codes[length]!;
      if (offsetCode > MAX_OFFSET_CODE) throw notZstd('an offset that is too large');
      const offsetValue = 2 ** offsetCode + stream.read(offsetCode);
      const matchLength = MATCH_LENGTH_BASES[matchCode]! + stream.read(MATCH_LENGTH_BITS[matchCode]!);
      const literalLength = LITERAL_LENGTH_BASES[lengthCode]! + stream.read(LITERAL_LENGTH_BITS[lengthCode]!);
      sequences.push(literalLength, matchLength, offsetValue);
      if (left === 1) break;
      length = lengths.bases[length]! + stream.read(lengths.bits[length]!);
      match = matches.bases[match]! + stream.read(matches.bits[match]!);
      offset = offsets.bases[offset]! + stream.read(offsets.bits[offset]!);
    }
    if (stream.left !== 0) throw notZstd('a stream of sequences that does not end where it should');
  }
}
