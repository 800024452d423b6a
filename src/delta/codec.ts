/** The interface of all codecs: ways to encode one object (or group, or tree form) given zero or more bases. */

/** Positioned reads of a base: an old object, or an earlier record's content. */
export interface Base {
  readonly size: number;
  /** Exactly `length` bytes from `offset`; a fresh buffer or a view that stays valid. */
  read(offset: number, length: number): Promise<Uint8Array>;
}

export interface EncodeOptions {
  /** 1 (fastest) to 9 (smallest). */
  readonly effort: number;
}

/**
 * A codec is deterministic: the same target, bases and options give the same bytes on every machine with the same codec version.
 *
 * - `encode` gives the stored bytes, or undefined where the codec does not fit (too large, no bases).
 * - `decode` yields exactly `rawLength` bytes; anything else in the stored bytes (too short, too long, rubbish, more memory
 *   than `core/limits.ts` allows) ends as OsupdError `damaged-delta`. It reads `stored` front to back once, and never
 *   allocates from a number in it that was not checked.
 */
export interface Codec {
  /** Name in the codec table of a delta's header; a new version of a codec's format is a new name. */
  readonly name: string;
  /** True: it takes one or more bases, always; false: it takes none. */
  readonly usesBases: boolean;
  encode(target: Uint8Array, bases: readonly Base[], options: EncodeOptions): Promise<Uint8Array | undefined>;
  decode(stored: AsyncIterable<Uint8Array>, bases: readonly Base[], rawLength: number): AsyncIterable<Uint8Array>;
}
