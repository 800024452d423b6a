/** What the maker of a zstd frame decided: with the content it determines every byte of the frame. */
import { freeMemory } from '../../../core/bytes.ts';

/** The sequences of a frame, in columns. */
export class Sequences {
  count = 0;
  literalLengths: Uint32Array;
  matchLengths: Uint32Array;
  /** As the format counts: 1 to 3 repeat an offset, above that it is the offset and 3. */
  offsets: Uint32Array;

  constructor(capacity = 1 << 10) {
    this.literalLengths = new Uint32Array(capacity);
    this.matchLengths = new Uint32Array(capacity);
    this.offsets = new Uint32Array(capacity);
  }

  push(literalLength: number, matchLength: number, offset: number): void {
    const at = this.count;
    if (at === this.offsets.length) this.#grow();
    this.literalLengths[at] = literalLength;
    this.matchLengths[at] = matchLength;
    this.offsets[at] = offset;
    this.count = at + 1;
  }

  #grow(): void {
    this.literalLengths = doubled(this.literalLengths);
    this.matchLengths = doubled(this.matchLengths);
    this.offsets = doubled(this.offsets);
  }
}

function doubled(column: Uint32Array): Uint32Array {
  const larger = new Uint32Array(2 * column.length);
  larger.set(column);
  freeMemory(column);
  return larger;
}

/** The form of a block's literals. */
export interface LiteralsForm {
  readonly mode: number;
  /** The two bits of their header that say how sizes are written and, above zero, that there are four streams. */
  readonly sizeFormat: number;
  /** The description of a table that the block brings along. */
  readonly description: Uint8Array | undefined;
}

/** The form of one column of a block's sequences. */
export interface ColumnForm {
  readonly mode: number;
  /** The description of the table, or the one code there is. */
  readonly description: Uint8Array | undefined;
}

/** The form of a block that is compressed. */
export interface BlockForm {
  readonly literals: LiteralsForm;
  /** Three; none without sequences. */
  readonly columns: readonly ColumnForm[];
}

export interface Block {
  readonly kind: number;
  /** Bytes of content. */
  readonly size: number;
  readonly firstSequence: number;
  readonly sequenceCount: number;
  /** Of compressed blocks. */
  readonly form: BlockForm | undefined;
  /** Where it is in the frame's bytes, with its header. */
  readonly start: number;
  readonly end: number;
}

/** One frame: zstd's own, or a skippable one, which has no blocks. */
export interface Frame {
  readonly start: number;
  /** Bytes of magic number and header. */
  readonly headerEnd: number;
  readonly end: number;
  readonly windowSize: number;
  /** Where its content begins in that of all frames, and its size. */
  readonly contentStart: number;
  readonly contentSize: number;
  readonly hasChecksum: boolean;
  readonly hasContentSize: boolean;
  /** Its window is its content. */
  readonly isSingle: boolean;
  readonly blocks: readonly Block[];
}

/** Frames one after the other, nothing else. */
export interface ZstdFile {
  readonly bytes: Uint8Array;
  readonly content: Uint8Array;
  readonly frames: readonly Frame[];
  readonly sequences: Sequences;
}

export const isSameDescription = (a: Uint8Array | undefined, b: Uint8Array | undefined): boolean =>
  a === undefined || b === undefined ? a === b : a.length === b.length && a.every((byte, at) => byte === b[at]);
