/** Files that are compressed inside: content, and a recipe that makes the same bytes of it again. */

export interface UnpackedFile {
  /** What is in the file, in parts that are differenced one by one: the parts of another file of the format correspond in order. */
  readonly parts: readonly Uint8Array[];
  readonly recipe: Uint8Array;
}

/** Pure functions over bytes that come from anywhere; the same bytes give the same result on every machine. */
export interface Container {
  /** Name in messages and summaries. */
  readonly name: string;
  /** Whether bytes begin like such a file; says nothing about the rest. */
  begins(bytes: Uint8Array): boolean;
  /**
   * The parts of a base. They must not depend on what only the recipe knows.
   * @param limit bytes of all parts together.
   * @returns undefined for what is no such file, or has more content than the limit.
   */
  unpack(bytes: Uint8Array, limit: number): readonly Uint8Array[] | undefined;
  /** The parts of a target, with the recipe; undefined where it cannot be made of them again, or it would not pay. */
  describe(bytes: Uint8Array, limit: number): UnpackedFile | undefined;
  /**
   * The bytes of a file in order.
   * @throws OsupdError `damaged-delta` for a recipe that does not fit the parts
   */
  restore(parts: readonly Uint8Array[], recipe: Uint8Array): Iterable<Uint8Array>;
}
