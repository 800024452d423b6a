/**
 * Reference projection: rewrites the references in an old file (branch targets, addresses, relocations, indexes) to what they should
 * be in the new one, so that what is left to code is what really changed. A wrong guess costs bytes, never correctness: the
 * rewritten file is only what the new one is differenced against, and encoder and decoder rewrite alike.
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

/** A way to project files of one kind. Deterministic: the same input gives the same bytes on every machine. */
export interface Projection {
  /** Name in a record: `[a-z0-9-]`; a changed rule is a new name. */
  readonly name: string;
  /**
   * The encoder's side: what the decoder must know of the new file besides the map, as short as possible. undefined where the two files are
   * not of this kind.
   */
  describe(old: Uint8Array, next: Uint8Array, map: CoarseMap): Uint8Array | undefined;
  /**
   * Rewrites the old file in place and marks what its bytes are. Neither the file, the map nor the description is trusted: whatever they
   * hold, it ends after a time and with memory in proportion to the file.
   * @throws OsupdError `damaged-delta` for a description that no encoder makes. A file that is not of this kind is left as it is.
   */
  project(old: Uint8Array, map: CoarseMap, description: Uint8Array, classes: ByteClasses): void;
}
