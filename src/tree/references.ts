/** The objects that a tree names, in the one order that deltas and indexes count them. */
import type { Digest } from '../core/digest.ts';
import { type Tree, walk } from './tree.ts';

export interface ObjectReference {
  readonly digest: Digest;
  /** Bytes of the object's content. */
  readonly size: number;
}

/** Every object once, in the order of its first name (depth-first, byte order). Files that are empty, inline or have no digest name none. */
export function objectsOf(tree: Tree): ObjectReference[] {
  const seen = new Map<Digest, ObjectReference>();
  for (const { entry } of walk(tree)) {
    if (entry.type !== 'file' || entry.size === 0 || entry.content !== undefined || entry.digest === undefined)
      continue;
    if (!seen.has(entry.digest)) seen.set(entry.digest, { digest: entry.digest, size: entry.size });
  }
  return [...seen.values()];
}
