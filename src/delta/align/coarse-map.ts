/**
 * Where the ranges of an old file are in a new one, roughly: a chain of ranges that grows in both files. It is where the search for what
 * moved begins, and says how near two files are.
 */

/** Ranges, by number. Each begins behind the end of the one before, in the old file and in the new one. Offsets in bytes. */
export interface CoarseMap {
  readonly oldAt: Uint32Array;
  readonly newAt: Uint32Array;
  readonly lengths: Uint32Array;
}

/**
 * The map whose ranges start at the given offsets, each as long as it can be.
 * @param oldAt, newAt rising offsets, below the sizes.
 */
export function coarseMapOf(oldAt: Uint32Array, newAt: Uint32Array, oldSize: number, newSize: number): CoarseMap {
  const lengths = oldAt.map((start, index) =>
    Math.min((oldAt[index + 1] ?? oldSize) - start, (newAt[index + 1] ?? newSize) - newAt[index]!),
  );
  return { oldAt, newAt, lengths };
}
