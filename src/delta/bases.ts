/** Which old object helps a new one: told by names, since a file that changes keeps its name or nearly so. */
import type { ByteString } from '../core/bytes.ts';
import type { ObjectReference } from '../tree/references.ts';
import { nodeOf, type Tree, walk } from '../tree/tree.ts';
import { baseName, maskDigits } from './names.ts';

/** An object under one of its names. */
export interface NamedObject extends ObjectReference {
  readonly path: ByteString;
}

/** Every name of every object in the trees. */
export function* namedObjects(trees: readonly Tree[]): Generator<NamedObject> {
  for (const tree of trees) {
    for (const { path, entry } of walk(tree)) {
      const node = nodeOf(entry);
      if (node.type === 'file' && node.size > 0 && node.content === undefined && node.digest !== undefined)
        yield { path, digest: node.digest, size: node.size };
    }
  }
}

/**
 * What two names must share, the best first: the path; the path but for digits (a kernel's version in a directory, `so.3` and
 * `so.4`); the last part of the path; that but for digits.
 */
const LIKENESSES: readonly ((path: ByteString) => ByteString)[] = [
  (path) => path,
  maskDigits,
  baseName,
  (path) => maskDigits(baseName(path)),
];

export class BaseFinder {
  readonly #indexes: readonly {
    readonly keyOf: (path: ByteString) => ByteString;
    readonly objects: Map<ByteString, NamedObject[]>;
  }[];

  /** @param trees of the from-images. */
  constructor(trees: readonly Tree[]) {
    this.#indexes = LIKENESSES.map((keyOf) => ({ keyOf, objects: new Map() }));
    for (const object of namedObjects(trees)) {
      for (const { keyOf, objects } of this.#indexes) {
        const key = keyOf(object.path);
        const list = objects.get(key);
        if (list === undefined) objects.set(key, [object]);
        else list.push(object);
      }
    }
  }

  /** The most promising old object for a new one of this name and size (in bytes), if there is any. */
  find(path: ByteString, size: number): ObjectReference | undefined {
    for (const { keyOf, objects } of this.#indexes) {
      const candidates = objects.get(keyOf(path));
      if (candidates !== undefined) return candidates.reduce((best, next) => closer(best, next, path, size));
    }
    return undefined;
  }
}

/** Of two candidates the one with more of the path in common, from its end; then the one nearer in size; then the first. */
function closer(a: NamedObject, b: NamedObject, path: ByteString, size: number): NamedObject {
  const common = commonEnd(b.path, path) - commonEnd(a.path, path);
  if (common !== 0) return common > 0 ? b : a;
  return Math.abs(b.size - size) < Math.abs(a.size - size) ? b : a;
}

/** Number of characters that two paths share at their ends. */
function commonEnd(a: ByteString, b: ByteString): number {
  const limit = Math.min(a.length, b.length);
  let count = 0;
  while (count < limit && a[a.length - 1 - count] === b[b.length - 1 - count]) count++;
  return count;
}
