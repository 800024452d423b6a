/** The interface of all codecs: ways to encode one object (or group, or tree form) given zero or more bases. */

/** Positioned reads of a base: an old object, or an earlier record's content. */
export interface Base {
  readonly size: number;
  /** Exactly `length` bytes from `offset`; a fresh buffer or a view that stays valid. */
  read(offset: number, length: number): Promise<Uint8Array>;
  /** The same into an array that is there, where that saves a copy. */
  readInto?(target: Uint8Array, offset: number): Promise<void>;
}

export interface EncodeOptions {
  /** 1 (fastest) to 9 (smallest). */
  readonly effort: number;
  /** Sizes of the members, the objects that the target is made of one after the other: 1 or more; their sum is the target's size. */
  readonly members: readonly number[];
  /** For each member the bases that should help it, as indexes into the bases. A codec may use them otherwise. */
  readonly basesOf: readonly (readonly number[])[];
}

/** Options for a target that is one member, which every base should help. */
export function oneMember(size: number, baseCount: number, effort: number): EncodeOptions {
  return { effort, members: [size], basesOf: [Array.from({ length: baseCount }, (_, index) => index)] };
}

/**
 * A codec is deterministic: the same target, bases and options give the same bytes on every machine with the same codec version.
 *
 * - `encode` gives the stored bytes, or undefined where the codec does not fit (too large, no bases).
 * - `decode` yields exactly the content of members of these sizes, one after the other, in chunks that are not empty; anything else in the stored bytes (too short, too long, rubbish, more memory
 *   than `core/limits.ts` allows) ends as OsupdError `damaged-delta`. It reads `stored` front to back once, and never
 *   allocates from a number in it that was not checked. `scratch` is a directory for files without names, where a codec has more to keep than
 *   it should hold in memory.
 */
export interface Codec {
  /** Name in the codec table of a delta's header; a new version of a codec's format is a new name. */
  readonly name: string;
  /** True: it takes one or more bases, always; false: it takes none. */
  readonly usesBases: boolean;
  encode(target: Uint8Array, bases: readonly Base[], options: EncodeOptions): Promise<Uint8Array | undefined>;
  /** Bytes of memory that decoding takes at most, given the sizes of bases and members; the stored bytes are not counted. */
  decodingMemory(bases: readonly number[], members: readonly number[]): number;
  decode(
    stored: AsyncIterable<Uint8Array>,
    bases: readonly Base[],
    members: readonly number[],
    scratch?: string,
  ): AsyncIterable<Uint8Array>;
}
