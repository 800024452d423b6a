/** What foretells how zstd's encoder cuts content into sequences. */
import type { OffsetHistory } from './offset-history.ts';

export interface SequencePredictor {
  /** The sequence that was foretold last. */
  literalLength: number;
  matchLength: number;
  /** As the format counts. */
  offset: number;
  /** Begins a section, of which the bytes up to `end` are known. */
  load(bytes: Uint8Array, end: number): void;
  /** Begins a block, content from `start` to `end`. */
  startBlock(bytes: Uint8Array, start: number, end: number, offsets: OffsetHistory): void;
  /** Foretells the next sequence; false: only literals follow. It goes on from there, if it is not corrected. */
  next(): boolean;
  /**
   * What was foretold is wrong: there is another sequence, which ends at `end` and leaves these offsets, or, where its lengths and
   * offset are zero, a block that ends there.
   */
  correct(end: number, offsets: OffsetHistory, literalLength: number, matchLength: number, offset: number): void;
  /** Everything moves to an index that is less by `by`. */
  move(by: number): void;
}
