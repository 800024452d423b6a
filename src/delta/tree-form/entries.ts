/** A tree as the flat list of its entries in walk order: what a tree form counts and refers to. */
import type { ByteString } from '../../core/bytes.ts';
import { type Digest, objectName } from '../../core/digest.ts';
import { type Entry, EPOCH, type FileNode, sortedChildren, type Tree, type TreeNode } from '../../tree/tree.ts';

export interface FlatEntry {
  readonly name: ByteString;
  /** 0 is the root. */
  readonly depth: number;
  readonly entry: Entry;
  /** Number of names that lead to the entry's node. */
  readonly names: number;
}

/** What an entry that continues no old one is compared with. */
export const BLANK: FlatEntry = {
  name: '',
  depth: 0,
  entry: { type: 'file', mode: 0o644, uid: 0, gid: 0, nlink: 1, mtime: EPOCH, xattrs: new Map(), size: 0 },
  names: 1,
};

/** All entries of a tree, parents before children, children in byte order of their names. */
export function flatten(tree: Tree): FlatEntry[] {
  const entries: { name: ByteString; depth: number; entry: Entry; names: number }[] = [];
  const names = new Map<TreeNode, number>();
  const pending: { name: ByteString; depth: number; entry: Entry }[] = [{ name: '', depth: 0, entry: tree.root }];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const { name, depth, entry } = next;
    entries.push({ name, depth, entry, names: 1 });
    if (entry.type === 'hardlink') names.set(entry.target, (names.get(entry.target) ?? 1) + 1);
    if (entry.type !== 'directory') continue;
    for (const [childName, child] of sortedChildren(entry).reverse())
      pending.push({ name: childName, depth: depth + 1, entry: child });
  }
  for (const flat of entries) if (flat.entry.type !== 'hardlink') flat.names = names.get(flat.entry) ?? 1;
  return entries;
}

/** A file's content as the image names it: inline bytes or an object; undefined for an empty file and one without digest. */
export function contentOf(file: FileNode): Uint8Array | Digest | undefined {
  return file.size === 0 ? undefined : (file.content ?? file.digest);
}

/** Digests of the entries' objects, each once, in the order of their first use. */
export function digestsOf(entries: readonly FlatEntry[]): Digest[] {
  const digests = new Set<Digest>();
  for (const { entry } of entries) {
    const content = entry.type === 'file' ? contentOf(entry) : undefined;
    if (typeof content === 'string') digests.add(content);
  }
  return [...digests];
}

/** The numbers of a device or pipe; zeros of anything else. */
export function deviceOf(entry: Entry): { readonly rdev: number; readonly size: number } {
  switch (entry.type) {
    case 'character':
    case 'block':
      return { rdev: entry.rdev, size: entry.size ?? 0 };
    case 'fifo':
    case 'socket':
      return { rdev: 0, size: entry.size ?? 0 };
    default:
      return { rdev: 0, size: 0 };
  }
}

/** How an entry's node departs from what its names and its digest say. */
export interface Oddity {
  /** Links that the node claims beyond its names. What a directory claims means nothing: it follows from the tree. */
  readonly links: number;
  /** The path of the object (empty: none), where it is not the one that follows from the digest. */
  readonly payload: ByteString | undefined;
}

export function oddityOf({ entry, names }: FlatEntry): Oddity {
  if (entry.type === 'hardlink' || entry.type === 'directory') return { links: 0, payload: undefined };
  const links = entry.nlink - names;
  if (entry.type !== 'file' || entry.size === 0 || entry.content !== undefined) return { links, payload: undefined };
  const payload = entry.payload ?? '';
  return { links, payload: isUsualPayload(payload, entry.digest) ? undefined : payload };
}

/** Without making the usual path: there is one for each file. */
function isUsualPayload(payload: ByteString, digest: Digest | undefined): boolean {
  if (digest === undefined) return payload === '';
  return (
    payload.length === digest.length + 1 &&
    payload.charAt(DIRECTORY_DIGITS) === '/' &&
    payload.startsWith(digest.slice(0, DIRECTORY_DIGITS)) &&
    payload.endsWith(digest.slice(DIRECTORY_DIGITS))
  );
}

/** Digits of a digest that name the directory of its object. */
const DIRECTORY_DIGITS = 2;

/** The path of an object as composefs spells it; none without a digest. */
export function usualPayload(digest: Digest | undefined): ByteString {
  return digest === undefined ? '' : objectName(digest);
}

/**
 * Where further names of files are expected to lead: to the entry that continues what the old name led to. An entry that
 * continues no further name is expected to lead to itself, which is never true and must be corrected.
 */
export class LinkTargets {
  readonly #base: readonly FlatEntry[];
  readonly #matches: Int32Array;
  readonly #oldNumbers: ReadonlyMap<Entry, number>;
  readonly #newNumbers = new Map<number, number>();

  /** @param matches for each new entry the number of the old one that it continues, or {@link NO_ENTRY}. */
  constructor(base: readonly FlatEntry[], matches: Int32Array) {
    this.#base = base;
    this.#matches = matches;
    this.#oldNumbers = new Map(base.map(({ entry }, number) => [entry, number]));
    matches.forEach((old, number) => {
      if (!this.#newNumbers.has(old)) this.#newNumbers.set(old, number);
    });
  }

  /** The number of the entry to which entry `number` is expected to lead. */
  expected(number: number): number {
    const old = this.#base[this.#matches[number]!]?.entry;
    if (old?.type !== 'hardlink') return number;
    return this.#newNumbers.get(this.#oldNumbers.get(old.target)!) ?? number;
  }
}

/** In a list of matches: the entry continues none. */
export const NO_ENTRY = -1;

/** The depth that each entry is expected to have, in turn: as deep as in the old tree; else beside or below the one before. */
export class DepthGuess {
  #shift = 0;
  #next = 0;

  /** @param old the entry that is continued. */
  expected(old: FlatEntry | undefined): number {
    return old === undefined ? this.#next : old.depth + this.#shift;
  }

  /** Takes note of the depth that the entry really has. */
  note(old: FlatEntry | undefined, depth: number, isDirectory: boolean): void {
    if (old !== undefined) this.#shift = depth - old.depth;
    this.#next = isDirectory ? depth + 1 : depth;
  }
}
