/** How a delta counts objects: those of the from-images first, then those that only the to-images have. */
import type { Digest } from '../core/digest.ts';
import type { ObjectReference } from '../tree/references.ts';

export interface ObjectOrder {
  /** Objects of the from-images, image by image, each once. */
  readonly old: readonly ObjectReference[];
  /** Objects of the to-images that no from-image has, image by image, each once. */
  readonly fresh: readonly ObjectReference[];
}

/** The objects that an image names, as `objectsOf` gives them. */
export type ImageObjects = readonly ObjectReference[];

export function orderObjects(from: readonly ImageObjects[], to: readonly ImageObjects[]): ObjectOrder {
  const old = new Map<Digest, ObjectReference>();
  const fresh = new Map<Digest, ObjectReference>();
  for (const object of from.flat()) if (!old.has(object.digest)) old.set(object.digest, object);
  for (const object of to.flat())
    if (!old.has(object.digest) && !fresh.has(object.digest)) fresh.set(object.digest, object);
  return { old: [...old.values()], fresh: [...fresh.values()] };
}
