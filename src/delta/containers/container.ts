/** Files that are compressed inside: content, and a recipe that makes the same bytes of it again. */
import type { Base } from '../codec.ts';

export interface UnpackedFile {
  /** What is in the file, in parts that are differenced one by one: the parts of another file of the format correspond in order. */
  readonly parts: readonly Uint8Array[];
  readonly recipe: Uint8Array;
}

/** Pure functions over bytes that come from anywhere; the same bytes give the same result on every machine. */
interface Format {
  /** Name in messages and summaries. */
  readonly name: string;
  /** Whether bytes begin like such a file; says nothing about the rest. */
  begins(bytes: Uint8Array): boolean;
  /** The parts of a target, with the recipe; undefined where it cannot be made of them again, or it would not pay. */
  describe(bytes: Uint8Array, limit: number): UnpackedFile | undefined;
}

/** A format whose files are held in memory with their content. */
export interface Container extends Format {
  /**
   * The parts of a base. They must not depend on what only the recipe knows.
   * @param limit bytes of all parts together.
   * @returns undefined for what is no such file, or has more content than the limit.
   */
  unpack(bytes: Uint8Array, limit: number): readonly Uint8Array[] | undefined;
  /**
   * The bytes of a file in order.
   * @throws OsupdError `damaged-delta` for a recipe that does not fit the parts
   */
  restore(parts: readonly Uint8Array[], recipe: Uint8Array): Iterable<Uint8Array>;
}

/** A part in pieces, each of which may be overwritten when the next one is asked for. */
export interface StreamedPart {
  /** Bytes of all pieces. */
  readonly size: number;
  readonly chunks: AsyncIterable<Uint8Array>;
}

/** A format of large files: what is in them comes and goes in pieces. */
export interface StreamedContainer extends Format {
  /**
   * The parts of a base, as {@link Container.unpack} would give them; each must be read to its end before the next.
   * @throws OsupdError `damaged-delta` for what is no such file.
   */
  unpackStream(base: Base): AsyncIterable<AsyncIterable<Uint8Array>>;
  /** As {@link Container.restore}; the parts are read in their order. */
  restoreStream(parts: readonly StreamedPart[], recipe: Uint8Array): AsyncIterable<Uint8Array>;
}

export type AnyContainer = Container | StreamedContainer;

export function isStreamed(container: AnyContainer): container is StreamedContainer {
  return 'restoreStream' in container;
}

/** A part in memory. @throws OsupdError what its chunks throw. */
export async function wholePart({ size, chunks }: StreamedPart): Promise<Uint8Array> {
  const bytes = new Uint8Array(size);
  let at = 0;
  for await (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}
