/** How a delta counts objects: those of the from-images first, then those that only the to-images have. */
import type { Digest } from '../core/digest.ts';
import { type ObjectReference, objectsOf } from '../tree/references.ts';
import type { Tree } from '../tree/tree.ts';

export interface ObjectOrder {
  /** Objects of the from-images, image by image, each once. */
  readonly old: readonly ObjectReference[];
  /** Objects of the to-images that no from-image has, image by image, each once. */
  readonly fresh: readonly ObjectReference[];
}

export function orderObjects(from: readonly Tree[], to: readonly Tree[]): ObjectOrder {
  const old = new Map<Digest, ObjectReference>();
  const fresh = new Map<Digest, ObjectReference>();
  for (const tree of from)
    for (const object of objectsOf(tree)) if (!old.has(object.digest)) old.set(object.digest, object);
  for (const tree of to) {
    for (const object of objectsOf(tree))
      if (!old.has(object.digest) && !fresh.has(object.digest)) fresh.set(object.digest, object);
  }
  return { old: [...old.values()], fresh: [...fresh.values()] };
}
