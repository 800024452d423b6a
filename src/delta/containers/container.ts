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

/** A format whose content is one part, which comes and goes in pieces: it is never held. */
export interface StreamedContainer extends Format {
  /**
   * The content of a base, as {@link Container.unpack} would give it.
   * @throws OsupdError `damaged-delta` for what is no such file, or has more content than the limit.
   */
  unpackStream(base: Base, limit: number): AsyncIterable<Uint8Array>;
  /** As {@link Container.restore}; pieces of the content may be overwritten after the next one was asked for. */
  restoreStream(content: AsyncIterable<Uint8Array>, size: number, recipe: Uint8Array): AsyncIterable<Uint8Array>;
}

export type AnyContainer = Container | StreamedContainer;

export function isStreamed(container: AnyContainer): container is StreamedContainer {
  return 'restoreStream' in container;
}
