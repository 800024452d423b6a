/** Writes the blocks of a frame: the state that one leaves for the next, and what zstd's encoder would make of a block. */
import { damagedDelta } from '../../damage.ts';
import type { BlockForm, ColumnForm, LiteralsForm, Sequences } from './decisions.ts';
import {
  BLOCK_COMPRESSED,
  COLUMN_RULES,
  COLUMNS,
  LITERALS_COMPRESSED,
  LITERALS_TREELESS,
  MAX_BLOCK_BYTES,
  TABLE_DESCRIBED,
  TABLE_PREDEFINED,
  TABLE_RLE,
} from './format.ts';
import { EncodingTable, readDistribution, singleEncodingTable } from './fse-table.ts';
import { type HuffmanTable, readHuffmanTable } from './huffman-table.ts';
import { predictColumns } from './predict-columns.ts';
import { LiteralsPredictor } from './predict-literals.ts';
import { MAX_BLOCK_SEQUENCES, SequenceCodes } from './sequence-codes.ts';
import { writeLiterals } from './write-literals.ts';
import { PREDEFINED_TABLES, writeColumns, writeSequenceCount, writeSequences } from './write-sequences.ts';

export const BLOCK_HEADER_BYTES = 3;

/** Room for a block: literals of 11 bits, and up to 11 bytes a sequence; those of an encoder are no longer than their content. */
export const BLOCK_ROOM = BLOCK_HEADER_BYTES + 2 * MAX_BLOCK_BYTES + 11 * MAX_BLOCK_SEQUENCES + (1 << 12);

export function writeBlockHeader(out: Uint8Array, start: number, kind: number, size: number, isLast: boolean): void {
  const header = (size << 3) | (kind << 1) | Number(isLast);
  out[start] = header;
  out[start + 1] = header >>> 8;
  out[start + 2] = header >>> 16;
}

export class BlockWriter {
  readonly #literals = new Uint8Array(MAX_BLOCK_BYTES);
  readonly #codes = new SequenceCodes();
  readonly #predictor = new LiteralsPredictor();
  #literalCount = 0;
  /** What holds where a block repeats a table. */
  #huffman: HuffmanTable | undefined;
  #tables: (EncodingTable | undefined)[] = new Array<undefined>(COLUMNS);
  /** What the encoder would repeat: no table that needs no description, none of an earlier section. */
  #usableHuffman = false;
  #usableTables: boolean[] = new Array<boolean>(COLUMNS).fill(false);

  /** An encoder that starts anew within a frame repeats nothing. */
  startSection(): void {
    this.#usableHuffman = false;
    this.#usableTables.fill(false);
  }

  startFrame(): void {
    this.#huffman = undefined;
    this.#tables.fill(undefined);
    this.startSection();
  }

  /** Takes a block: its content from `start` to `end` in `window`, cut into sequences of which the last is followed by literals only. */
  take(window: Uint8Array, start: number, end: number, sequences: Sequences, first: number, count: number): void {
    const literals = this.#literals;
    const { literalLengths, matchLengths } = sequences;
    let literalCount = 0;
    let at = start;
    for (let sequence = first; sequence < first + count; sequence++) {
      for (const stop = at + literalLengths[sequence]!; at < stop; ) literals[literalCount++] = window[at++]!;
      at += matchLengths[sequence]!;
    }
    if (at < end) literals.set(window.subarray(at, end), literalCount);
    this.#literalCount = literalCount + end - at;
    this.#codes.take(sequences, first, count);
  }

  /** The form that zstd's encoder would give the literals of the block that was taken. */
  predictLiterals(strategy: number, coded: boolean): LiteralsForm {
    return this.#predictor.predict(
      this.#literals,
      this.#literalCount,
      this.#codes.count,
      this.#usableHuffman ? this.#huffman : undefined,
      strategy,
      coded,
    );
  }

  /** The forms that it would give the columns of its sequences. */
  predictColumns(strategy: number): ColumnForm[] {
    if (this.#codes.count === 0) return [];
    const previous = this.#tables.map((table, column) => (this.#usableTables[column] ? table : undefined));
    return predictColumns(this.#codes, previous, strategy);
  }

  /**
   * Writes the block that was taken. @returns where it ends.
   * @throws OsupdError `damaged-delta`
   */
  write(out: Uint8Array, start: number, form: BlockForm, sequences: Sequences, first: number, isLast: boolean): number {
    const { count } = this.#codes;
    this.#adoptLiterals(form.literals);
    let at = start + BLOCK_HEADER_BYTES;
    at = writeLiterals(out, at, form.literals, this.#literals, this.#literalCount, this.#huffman);
    at = writeSequenceCount(out, at, count);
    if (count > 0) {
      this.#adoptColumns(form.columns);
      at = writeColumns(out, at, form.columns);
      at = writeSequences(out, at, sequences, first, this.#codes, this.#tables as EncodingTable[]);
    }
    const size = at - start - BLOCK_HEADER_BYTES;
    if (size > MAX_BLOCK_BYTES) throw damagedDelta('a block of a zstd frame is too large');
    writeBlockHeader(out, start, BLOCK_COMPRESSED, size, isLast);
    return at;
  }

  #adoptLiterals({ mode, description }: LiteralsForm): void {
    if (mode === LITERALS_COMPRESSED) {
      const { table, end } = readHuffmanTable(description!, 0, description!.length);
      if (end !== description!.length) throw damagedDelta('a table of a zstd frame is longer than it should');
      this.#huffman = table;
      this.#usableHuffman = true;
    } else if (mode === LITERALS_TREELESS && this.#huffman === undefined)
      throw damagedDelta('a block of a zstd frame repeats a table that there is not');
  }

  #adoptColumns(columns: readonly ColumnForm[]): void {
    for (let column = 0; column < COLUMNS; column++) {
      const { mode, description } = columns[column]!;
      const { maxLog, maxCode } = COLUMN_RULES[column]!;
      if (mode === TABLE_PREDEFINED) this.#tables[column] = PREDEFINED_TABLES[column]!;
      else if (mode === TABLE_RLE) this.#tables[column] = singleEncodingTable(Math.min(description![0]!, maxCode));
      else if (mode === TABLE_DESCRIBED) {
        const distribution = readDistribution(description!, 0, description!.length, maxLog, maxCode);
        if (distribution.end !== description!.length)
          throw damagedDelta('a table of a zstd frame is longer than it should');
        this.#tables[column] = new EncodingTable(distribution);
      }
      const table = this.#tables[column];
      if (table === undefined) throw damagedDelta('a block of a zstd frame repeats a table that there is not');
      const histogram = this.#codes.histograms[column]!;
      for (let code = 0; code < histogram.length; code++)
        if (histogram[code] !== 0 && !table.codes(code))
          throw damagedDelta('a table of a zstd frame lacks a code that is needed');
      // Tables that need no description are taken anew each time.
      if (mode === TABLE_PREDEFINED || mode === TABLE_RLE) this.#usableTables[column] = false;
      if (mode === TABLE_DESCRIBED) this.#usableTables[column] = true;
    }
  }
}
