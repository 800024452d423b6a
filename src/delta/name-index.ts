/** Which old objects have names like that of a new one: a file that changes keeps its name or nearly so. */
import type { ByteString } from '../core/bytes.ts';
import type { Digest } from '../core/digest.ts';
import type { ObjectReference } from '../tree/references.ts';
import { withoutVersions } from './names.ts';

/** An object under one of its names. */
export interface NamedObject extends ObjectReference {
  readonly path: ByteString;
}

/** Candidates for one name at most. */
const MAX_CANDIDATES = 4;

/** Names on either side of the place where a name would be that are looked at. */
const NEIGHBOURS = 12;

interface Entry {
  /** The path without versions, its parts in reverse: what has its last parts in common is next to each other. */
  readonly key: string;
  /** The path itself, in reverse. */
  readonly reversed: string;
  readonly object: NamedObject;
}

export class NameIndex {
  readonly #byPath = new Map<ByteString, NamedObject>();
  readonly #entries: Entry[] = [];

  /** @param objects each as often as it has names. */
  constructor(objects: Iterable<NamedObject>) {
    for (const object of objects) {
      if (!this.#byPath.has(object.path)) this.#byPath.set(object.path, object);
      this.#entries.push(entryOf(object));
    }
    this.#entries.sort(compareEntries);
  }

  /**
   * The old objects whose names say the most, the best first: the same path; the same but for versions; the same last part, with
   * as many of the parts before it as there are; the same last part but for versions. Each object once.
   */
  candidates(path: ByteString, size: number): NamedObject[] {
    const wanted = entryOf({ path, size, digest: '' as Digest });
    const { key, reversed } = wanted;
    const place = this.#placeOf(wanted);
    const last = key.slice(0, key.indexOf('/') + 1);
    const found: { readonly object: NamedObject; readonly likeness: number }[] = [];
    const consider = (entry: Entry) => {
      const likeness = 2 * commonParts(entry.key, key) + commonParts(entry.reversed, reversed);
      found.push({ object: entry.object, likeness });
    };
    for (let at = place; at < place + NEIGHBOURS && this.#entries[at]?.key.startsWith(last); at++)
      consider(this.#entries[at]!);
    for (let at = place - 1; at >= place - NEIGHBOURS && this.#entries[at]?.key.startsWith(last); at--)
      consider(this.#entries[at]!);
    const distance = (object: NamedObject) => Math.abs(object.size - size);
    found.sort((a, b) => b.likeness - a.likeness || distance(a.object) - distance(b.object));
    const same = this.#byPath.get(path);
    const best = new Map<Digest, NamedObject>(same === undefined ? [] : [[same.digest, same]]);
    for (const { object } of found) {
      if (best.size === MAX_CANDIDATES) break;
      if (!best.has(object.digest)) best.set(object.digest, object);
    }
    return [...best.values()];
  }

  #placeOf(entry: Entry): number {
    let low = 0;
    let high = this.#entries.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareEntries(this.#entries[middle]!, entry) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function entryOf(object: NamedObject): Entry {
  return { key: reverseParts(withoutVersions(object.path)), reversed: reverseParts(object.path), object };
}

function reverseParts(path: string): string {
  return `${path.split('/').reverse().join('/')}/`;
}

function compareEntries(a: Entry, b: Entry): number {
  if (a.key !== b.key) return a.key < b.key ? -1 : 1;
  return a.reversed < b.reversed ? -1 : a.reversed > b.reversed ? 1 : 0;
}

/** Number of whole parts that two reversed paths have in common, from the last ones on. */
function commonParts(a: string, b: string): number {
  const limit = Math.min(a.length, b.length);
  let parts = 0;
  for (let at = 0; at < limit && a[at] === b[at]; at++) if (a[at] === '/') parts++;
  return parts;
}
