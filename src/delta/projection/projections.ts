/** All projections by name. A new one is added here, and nowhere else. */
import { MAX_PROJECTED_BYTES } from '../../core/limits.ts';
import type { CoarseMap } from '../align/coarse-map.ts';
import { unsupportedDelta } from '../prologue.ts';
import { bitcode } from './bitcode.ts';
import { linked } from './linked.ts';
import type { Projection } from './projection.ts';
import { relocatable } from './relocatable.ts';

/** In the order in which they are tried. */
const PROJECTIONS: readonly Projection[] = [relocatable, linked, bitcode];

const BY_NAME = new Map(PROJECTIONS.map((projection) => [projection.name, projection]));

/** @throws OsupdError `unsupported` for a projection that a newer osupd has. */
export function projectionNamed(name: string): Projection {
  const projection = BY_NAME.get(name);
  if (projection === undefined) throw unsupportedDelta(`the delta uses the projection "${name}"`);
  return projection;
}

/** A projection that fits two files, and what its decoder must be told. */
export interface ProjectionChoice {
  readonly projection: Projection;
  readonly description: Uint8Array;
  /** The new file as it is to be compared with the projected old one. */
  readonly comparable: Uint8Array;
}

/** The first projection that fits an old and a new file; undefined where none does, or where the old one is too large. */
export function projectionFor(old: Uint8Array, next: Uint8Array, map: CoarseMap): ProjectionChoice | undefined {
  if (old.length > MAX_PROJECTED_BYTES) return undefined;
  for (const projection of PROJECTIONS) {
    const description = projection.describe(old, next, map);
    if (description === undefined) continue;
    return { projection, description, comparable: projection.comparable?.(old, next) ?? next };
  }
  return undefined;
}
