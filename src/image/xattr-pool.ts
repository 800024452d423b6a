/** The xattrs of all inodes of an image, each (name, value) once: what two inodes have is stored once in a shared table. */
import { type ByteString, compareBytes } from '../core/bytes.ts';
import { MAX_SHARED_XATTRS, roundUp, XATTR_ENTRY_BYTES, XATTR_HEADER_BYTES } from './format.ts';
import { filterBit, splitName } from './xattr-name.ts';

export interface StoredName {
  readonly text: ByteString;
  /** Number of the name's prefix, and the rest of the name. */
  readonly index: number;
  readonly suffix: ByteString;
  /** The bit of the name filter that this name clears. */
  readonly filterBit: number;
}

export interface StoredXattr {
  readonly name: StoredName;
  readonly value: ByteString;
  /** Bytes of the entry with its padding. */
  readonly bytes: number;
  /** Number of inodes that have it. */
  uses: number;
  /** Place in the shared table, or -1 where it is kept with its inode. */
  sharedOffset: number;
}

export class XattrPool {
  readonly #names = new Map<ByteString, { readonly name: StoredName; readonly xattrs: Map<string, StoredXattr> }>();

  /** Counts one use of an xattr by an inode. */
  use(name: ByteString, value: ByteString): StoredXattr {
    return this.useKey(name, value, () => value);
  }

  /** The same for a value that follows from a key; it is made only when it is new. One name must always have the same kind of keys. */
  useKey(text: ByteString, key: string, makeValue: () => ByteString): StoredXattr {
    let known = this.#names.get(text);
    if (known === undefined) {
      const { index, suffix } = splitName(text);
      known = { name: { text, index, suffix, filterBit: filterBit(index, suffix) }, xattrs: new Map() };
      this.#names.set(text, known);
    }
    const { name, xattrs } = known;
    let xattr = xattrs.get(key);
    if (xattr === undefined) {
      const value = makeValue();
      const bytes = roundUp(XATTR_ENTRY_BYTES + name.suffix.length + value.length, 4);
      xattr = { name, value, bytes, uses: 0, sharedOffset: -1 };
      xattrs.set(key, xattr);
    }
    xattr.uses++;
    return xattr;
  }

  has(name: ByteString): boolean {
    return this.#names.has(name);
  }

  /** Gives xattrs with several uses their places in the shared table; returns the table in order. */
  share(): StoredXattr[] {
    const shared: StoredXattr[] = [];
    for (const { xattrs } of this.#names.values())
      for (const xattr of xattrs.values()) if (xattr.uses > 1) shared.push(xattr);
    shared.sort(compareDescending);
    let offset = 0;
    for (const xattr of shared) {
      xattr.sharedOffset = offset;
      offset += xattr.bytes;
    }
    return shared;
  }
}

/** The shared table's order: by name, then length, then bytes of the value, all descending. */
function compareDescending(a: StoredXattr, b: StoredXattr): number {
  return compareBytes(b.name.text, a.name.text) || b.value.length - a.value.length || compareBytes(b.value, a.value);
}

/** How the xattrs of one inode (in order of their names) are stored: the first of the shared ones by reference, others with the inode. */
export function splitXattrs(xattrs: readonly StoredXattr[]): { shared: StoredXattr[]; own: StoredXattr[] } {
  const shared: StoredXattr[] = [];
  const own: StoredXattr[] = [];
  for (const xattr of xattrs) {
    if (xattr.sharedOffset >= 0 && shared.length < MAX_SHARED_XATTRS) shared.push(xattr);
    else own.push(xattr);
  }
  return { shared, own };
}

/** Bytes of an inode's xattr area. */
export function xattrAreaBytes(xattrs: readonly StoredXattr[]): number {
  if (xattrs.length === 0) return 0;
  let bytes = XATTR_HEADER_BYTES;
  let shared = 0;
  for (const xattr of xattrs) {
    if (xattr.sharedOffset >= 0 && shared < MAX_SHARED_XATTRS) {
      shared++;
      bytes += 4;
    } else {
      bytes += xattr.bytes;
    }
  }
  return bytes;
}

/** The name filter of an inode: a cleared bit says that a name with that hash may be there. */
export function nameFilter(xattrs: readonly StoredXattr[]): number {
  let filter = 0xffffffff;
  for (const { name } of xattrs) filter &= ~(1 << name.filterBit);
  return filter >>> 0;
}
