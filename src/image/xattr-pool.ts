/** The xattrs of all inodes of an image, each (name, value) once: what two inodes have is stored once in a shared table. */
import { type ByteString, compareBytes, fromBytes } from '../core/bytes.ts';
import { MAX_SHARED_XATTRS, roundUp, XATTR_ENTRY_BYTES, XATTR_HEADER_BYTES } from './format.ts';
import { filterBit, splitName } from './xattr-name.ts';

export interface StoredXattr {
  readonly name: ByteString;
  /** Number of the name's prefix, and the rest of the name. */
  readonly index: number;
  readonly suffix: ByteString;
  /** The bit of the name filter that this name clears. */
  readonly filterBit: number;
  readonly value: Uint8Array;
  /** Bytes of the entry with its padding. */
  readonly bytes: number;
  /** Number of inodes that have it. */
  uses: number;
  /** Place in the shared table, or -1 where it is kept with its inode. */
  sharedOffset: number;
}

type StoredName = Pick<StoredXattr, 'name' | 'index' | 'suffix' | 'filterBit'>;

export class XattrPool {
  readonly #names = new Map<ByteString, StoredName>();
  readonly #xattrs = new Map<string, StoredXattr>();

  /** Counts one use of an xattr by an inode. */
  use(name: ByteString, value: Uint8Array): StoredXattr {
    return this.useText(name, fromBytes(value), () => value);
  }

  /** The same for a value that is known by a text, and made only when it is new. One text must always stand for one value. */
  useText(name: ByteString, text: string, makeValue: () => Uint8Array): StoredXattr {
    const key = `${name}\0${text}`;
    let xattr = this.#xattrs.get(key);
    if (xattr === undefined) {
      const stored = this.#name(name);
      const value = makeValue();
      const bytes = roundUp(XATTR_ENTRY_BYTES + stored.suffix.length + value.length, 4);
      xattr = { ...stored, value, bytes, uses: 0, sharedOffset: -1 };
      this.#xattrs.set(key, xattr);
    }
    xattr.uses++;
    return xattr;
  }

  has(name: ByteString): boolean {
    return this.#names.has(name);
  }

  /** Gives xattrs with several uses their places in the shared table; returns the table in order. */
  share(): StoredXattr[] {
    const shared = [...this.#xattrs.values()].filter(({ uses }) => uses > 1).sort(compareDescending);
    let offset = 0;
    for (const xattr of shared) {
      xattr.sharedOffset = offset;
      offset += xattr.bytes;
    }
    return shared;
  }

  #name(name: ByteString): StoredName {
    let stored = this.#names.get(name);
    if (stored === undefined) {
      const { index, suffix } = splitName(name);
      stored = { name, index, suffix, filterBit: filterBit(index, suffix) };
      this.#names.set(name, stored);
    }
    return stored;
  }
}

/** The shared table's order: by name, then length, then bytes of the value, all descending. */
function compareDescending(a: StoredXattr, b: StoredXattr): number {
  return compareBytes(b.name, a.name) || b.value.length - a.value.length || Buffer.compare(b.value, a.value);
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
  for (const { filterBit } of xattrs) filter &= ~(1 << filterBit);
  return filter >>> 0;
}
