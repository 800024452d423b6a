/** What a member of a `difference` record is differenced against: its bases, projected or as they are, one after the other. */

import { freeMemory } from '../../core/bytes.ts';
import { MAX_PROJECTED_BYTES, MAX_PROJECTED_PASSES } from '../../core/limits.ts';
import type { Base } from '../codec.ts';
import type { ByteClasses, Projected, Projection, RecordMemory } from '../projection/projection.ts';
import { memoryBase } from '../read-base.ts';
import { sum } from '../total-size.ts';
import type { PlannedProjection } from './difference-plan.ts';

/** One base, as it is used. */
export interface OldPart {
  readonly content: Base;
  /** The same in memory; undefined where it is read piece by piece. */
  readonly bytes: Uint8Array | undefined;
  readonly classes: ByteClasses | undefined;
  /** Makes what is copied from it the foretold bytes of a place in the new file. @see Projected.settle */
  readonly settle: Projected['settle'];
  /** Takes what the true new file teaches those who come after it. */
  readonly learn: ((next: Uint8Array) => void) | undefined;
  /** Arrays that nothing else uses. */
  readonly held: readonly Uint8Array[];
}

/** @param held true where nobody else uses the array. */
export function partInMemory(bytes: Uint8Array, held = false): OldPart {
  const content = memoryBase(bytes);
  return { content, bytes, classes: undefined, settle: undefined, learn: undefined, held: held ? [bytes] : [] };
}

/**
 * A base with its projection. @param bytes the base's, which may be overwritten. @param nextSize the member's.
 * @throws OsupdError `damaged-delta` for a description that no encoder makes.
 */
export function projectedPart(
  base: Uint8Array,
  { projection, description }: PlannedProjection,
  nextSize: number,
  memory: RecordMemory,
): OldPart {
  const projected = projection.project(base, nextSize, description, memory);
  const { bytes, classes } = projected;
  return {
    content: memoryBase(bytes),
    bytes,
    classes,
    settle: projected.settle && ((copied, oldAt, newAt) => projected.settle?.(copied, oldAt, newAt)),
    learn: projected.learn && ((next) => projected.learn?.(next)),
    held: [base, bytes, classes],
  };
}

/** A part of it, and where that begins. */
interface Place {
  readonly part: OldPart;
  readonly at: number;
}

export class OldContent {
  readonly size: number;
  readonly #places: readonly Place[];

  constructor(parts: readonly OldPart[]) {
    let at = 0;
    this.#places = parts.map((part) => {
      const place = { part, at };
      at += part.content.size;
      return place;
    });
    this.size = at;
  }

  /** The part that holds the byte at an offset below the size, and the offset within it. */
  find(offset: number): { readonly part: OldPart; readonly offset: number } {
    const place = this.#places.findLast(({ at }) => at <= offset)!;
    return { part: place.part, offset: offset - place.at };
  }

  /** Gives the memory back that the parts alone hold; they are of no use afterwards. */
  free(): void {
    for (const { part } of this.#places) {
      for (const bytes of part.held) freeMemory(bytes);
    }
  }

  /** Tells all parts what the new file is. */
  learn(next: Uint8Array): void {
    for (const { part } of this.#places) part.learn?.(next);
  }
}

/** A base that is to be projected. */
export interface ProjectedSize {
  readonly size: number;
  readonly projection: Projection;
}

/** What a reader does and holds to project these bases for a new file of this size. */
function projectedBytes(bases: readonly ProjectedSize[], nextSize: number): number {
  return sum(bases.map(({ size, projection: { growth = 1 } }) => growth * Math.max(size, nextSize)));
}

/** How much the members of one record may still project. Encoder and decoder count alike. */
export class ProjectionRoom {
  #left: number;

  /** @param bases sizes. @param members sizes. */
  constructor(bases: readonly number[], members: readonly number[]) {
    this.#left = MAX_PROJECTED_PASSES * (sum(bases) + sum(members));
  }

  /** For one member. */
  fits(bases: readonly ProjectedSize[], nextSize: number): boolean {
    return projectedBytes(bases, nextSize) <= Math.min(MAX_PROJECTED_BYTES, this.#left);
  }

  /** Counts what a member projects, if it fits. */
  take(bases: readonly ProjectedSize[], nextSize: number): boolean {
    if (!this.fits(bases, nextSize)) return false;
    this.#left -= projectedBytes(bases, nextSize);
    return true;
  }
}
