/**
 * Reference projection: rewrites the references in an old file (branch targets, addresses, relocations, indexes) to what they should
 * be in the new one, so that what is left to code is what really changed. A wrong guess costs bytes, never correctness: the
 * rewritten file is only what the new one is differenced against, and encoder and decoder rewrite alike.
 *
 * For each member of a record, in their order, both sides call `project` once (the encoder with what `describe` gave), then `learn` where
 * there is one, with the member's content; `RecordMemory` is one for each record.
 */
import type { CoarseMap } from '../align/coarse-map.ts';

/**
 * What a byte of a projected file is, for the coder of residuals: a class of 0 to 15, two to a byte (the even offset in the low four
 * bits). 0: nothing is known. The others belong to the projection: bytes of a class are alike.
 */
export type ByteClasses = Uint8Array;

/** Half a byte for each byte of a file. */
export function newByteClasses(size: number): ByteClasses {
  return new Uint8Array((size + 1) >>> 1);
}

/**
 * What the members of one record teach each other. Encoder and decoder make a new one for each record, give it to each member's
 * projection in the order of the members, and so know the same at each.
 */
export class RecordMemory {
  readonly #parts = new Map<new () => object, object>();

  /** The record's one object of a class: each projection keeps one of its own. */
  of<Part extends object>(part: new () => Part): Part {
    const known = this.#parts.get(part);
    if (known !== undefined) return known as Part;
    const made = new part();
    this.#parts.set(part, made);
    return made;
  }
}

/** What a projection made of an old file. */
export interface Projected {
  /** What the new file is differenced against: the old file itself, rewritten, or another of the new file's size; or a larger one, see `growth`. */
  readonly bytes: Uint8Array;
  /** Of `bytes`. */
  readonly classes: ByteClasses;
  /**
   * Where it is there, what was copied from `bytes` is not what the new file is differenced against before this has been called with it. Each
   * byte depends on where it comes from and goes to alone, so that a copy may be settled as a whole or piece by piece.
   * @param copied a copy of a part of `bytes`, which is changed. @param oldAt where that part begins. @param newAt where it goes in the new file.
   */
  settle?(copied: Uint8Array, oldAt: number, newAt: number): void;
  /** To be called once with the true new file, before the next member is projected: keeps what it teaches in the record's memory. */
  learn?(next: Uint8Array): void;
}

/** A way to project files of one kind. Deterministic: the same input gives the same bytes on every machine. */
export interface Projection {
  /** Name in a record: `[a-z0-9-]`; a changed rule is a new name. */
  readonly name: string;
  /** How many times as large as the old and the new file `Projected.bytes` may be. Left out where it is not larger. */
  readonly growth?: number;
  /**
   * The encoder's side: what the decoder must know of the new file, as short as possible. undefined where the two files are not of this kind.
   * @param map a first guess of what moved.
   */
  describe(old: Uint8Array, next: Uint8Array, map: CoarseMap): Uint8Array | undefined;
  /**
   * The encoder's side: the new file as it is to be compared with `Projected.bytes` of the old one, to find what to copy; a copy of
   * it with distances as these have them. Left out where that is the new file itself.
   */
  comparable?(old: Uint8Array, next: Uint8Array): Uint8Array;
  /**
   * Rewrites the old file, in place or to one of the new file's size, and marks what its bytes are. Neither the file nor the
   * description is trusted: whatever they hold, it ends after a time and with memory in proportion to both sizes.
   * @param nextSize the size of the new file, a number that the caller has checked.
   * @throws OsupdError `damaged-delta` for a description that no encoder makes. A file that is not of this kind is left as it is.
   */
  project(old: Uint8Array, nextSize: number, description: Uint8Array, memory: RecordMemory): Projected;
}
