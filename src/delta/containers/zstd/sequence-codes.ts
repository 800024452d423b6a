/** Codes of the sequences of one block, and how often each occurs. */
import type { Sequences } from './decisions.ts';
import {
  COLUMN_RULES,
  LITERAL_LENGTH,
  literalLengthCode,
  MATCH_LENGTH,
  MAX_BLOCK_BYTES,
  MIN_MATCH,
  matchLengthCode,
  OFFSET,
} from './format.ts';

/** Sequences of one block: each covers three bytes or more. */
export const MAX_BLOCK_SEQUENCES = Math.floor(MAX_BLOCK_BYTES / MIN_MATCH) + 1;

export class SequenceCodes {
  count = 0;
  /** By column. */
  readonly codes = COLUMN_RULES.map(() => new Uint8Array(MAX_BLOCK_SEQUENCES));
  readonly histograms = COLUMN_RULES.map(({ maxCode }) => new Uint32Array(maxCode + 1));

  /** Takes the sequences of a block, up to {@link MAX_BLOCK_SEQUENCES}. */
  take(sequences: Sequences, first: number, count: number): void {
    const { literalLengths, matchLengths, offsets } = sequences;
    const lengthCodes = this.codes[LITERAL_LENGTH]!;
    const offsetCodes = this.codes[OFFSET]!;
    const matchCodes = this.codes[MATCH_LENGTH]!;
    const lengthHistogram = this.histograms[LITERAL_LENGTH]!.fill(0);
    const offsetHistogram = this.histograms[OFFSET]!.fill(0);
    const matchHistogram = this.histograms[MATCH_LENGTH]!.fill(0);
    this.count = count;
    for (let at = 0, from = first; at < count; at++, from++) {
      const lengthCode = literalLengthCode(literalLengths[from]!);
      const offsetCode = 31 - Math.clz32(offsets[from]!);
      const matchCode = matchLengthCode(matchLengths[from]!);
      lengthCodes[at] = lengthCode;
      offsetCodes[at] = offsetCode;
      matchCodes[at] = matchCode;
      lengthHistogram[lengthCode]!++;
      offsetHistogram[offsetCode]!++;
      matchHistogram[matchCode]!++;
    }
  }

  /** The highest code of a column that occurs. */
  maxCode(column: number): number {
    const histogram = this.histograms[column]!;
    let code = histogram.length - 1;
    while (code > 0 && histogram[code] === 0) code--;
    return code;
  }

  lastCode(column: number): number {
    return this.codes[column]![this.count - 1]!;
  }
}
