/** Reads xattrs of inodes: those kept with the inode and those in the shared table. */
import { type ByteString, fromBytes } from '../core/bytes.ts';
import { MAX_STORED_XATTR_BYTES } from '../core/limits.ts';
import { BLOCK_BYTES, MAX_SHARED_XATTRS, XATTR_ENTRY_BYTES, XATTR_HEADER_BYTES } from './format.ts';
import type { Damage, StoredInode } from './read-inode.ts';
import { filterBit, nameOf } from './xattr-name.ts';

/** One xattr where it is stored. */
export interface XattrEntry {
  readonly name: ByteString;
  /** A view of the image. */
  readonly value: Uint8Array;
  readonly filterBit: number;
  readonly at: number;
  /** End without the padding, and with it. */
  readonly end: number;
  readonly paddedEnd: number;
}

export class XattrReader {
  readonly #image: Buffer;
  /** Start of the block that shared xattrs are counted from. */
  readonly #tableStart: number;
  readonly #damage: Damage;
  readonly #shared = new Map<number, XattrEntry>();
  readonly #names = new Map<ByteString, { name: ByteString; filterBit: number }>();

  constructor(image: Buffer, tableBlock: number, damage: Damage) {
    this.#image = image;
    this.#tableStart = tableBlock * BLOCK_BYTES;
    this.#damage = damage;
  }

  /** The shared xattrs that were read so far. */
  get shared(): Iterable<XattrEntry> {
    return this.#shared.values();
  }

  /** The xattrs of an inode by stored name: first those kept with it, then shared ones, as composefs reads them. */
  read(inode: StoredInode): Map<ByteString, Uint8Array> {
    const xattrs = new Map<ByteString, Uint8Array>();
    if (inode.xattrBytes === 0) return xattrs;
    let filter = 0xffffffff;
    let bytes = 0;
    const add = (entry: XattrEntry) => {
      if (xattrs.has(entry.name)) throw this.#damage('an xattr is there twice', entry.at);
      bytes += entry.name.length + entry.value.length;
      if (bytes > MAX_STORED_XATTR_BYTES) throw this.#damage('the xattrs of an inode are too large', inode.xattrAt);
      filter &= ~(1 << entry.filterBit);
      xattrs.set(entry.name, entry.value);
    };
    for (const entry of this.ownOf(inode)) add(entry);
    for (const entry of this.sharedOf(inode)) add(entry);
    if (filter >>> 0 !== this.#image.readUInt32LE(inode.xattrAt))
      throw this.#damage('the name filter does not fit the xattrs', inode.xattrAt);
    return xattrs;
  }

  /** The xattrs kept with an inode that has an xattr area. */
  *ownOf(inode: StoredInode): Generator<XattrEntry> {
    const end = inode.xattrAt + inode.xattrBytes;
    for (let at = this.#ownStart(inode); at < end; ) {
      const entry = this.#entry(at, end);
      yield entry;
      at = entry.paddedEnd;
    }
  }

  /** Those of the shared table that an inode with an xattr area refers to. */
  *sharedOf(inode: StoredInode): Generator<XattrEntry> {
    const end = this.#ownStart(inode);
    for (let at = inode.xattrAt + XATTR_HEADER_BYTES; at < end; at += 4) yield this.#sharedEntry(at);
  }

  #ownStart({ xattrAt, xattrBytes }: StoredInode): number {
    const count = this.#image.readUInt8(xattrAt + 4);
    const start = xattrAt + XATTR_HEADER_BYTES + 4 * count;
    if (count > MAX_SHARED_XATTRS || start > xattrAt + xattrBytes)
      throw this.#damage('too many shared xattrs', xattrAt + 4);
    return start;
  }

  #sharedEntry(idAt: number): XattrEntry {
    const id = this.#image.readUInt32LE(idAt);
    const known = this.#shared.get(id);
    if (known !== undefined) return known;
    const at = this.#tableStart + 4 * id;
    if (at + XATTR_ENTRY_BYTES > this.#image.length) throw this.#damage('a shared xattr is behind the image', idAt);
    const entry = this.#entry(at, this.#image.length);
    this.#shared.set(id, entry);
    return entry;
  }

  #entry(at: number, limit: number): XattrEntry {
    const image = this.#image;
    if (at + XATTR_ENTRY_BYTES > limit) throw this.#damage('an xattr is cut off', at);
    const valueAt = at + XATTR_ENTRY_BYTES + image.readUInt8(at);
    const end = valueAt + image.readUInt16LE(at + 2);
    const paddedEnd = (end + 3) & ~3;
    if (paddedEnd > limit) throw this.#damage('an xattr is cut off', at);
    const { name, filterBit } = this.#name(at, valueAt);
    return { name, value: image.subarray(valueAt, end), filterBit, at, end, paddedEnd };
  }

  #name(at: number, end: number): { name: ByteString; filterBit: number } {
    const index = this.#image.readUInt8(at + 1);
    const suffix = fromBytes(this.#image.subarray(at + XATTR_ENTRY_BYTES, end));
    const key = String.fromCharCode(index) + suffix;
    let known = this.#names.get(key);
    if (known === undefined) {
      const name = nameOf(index, suffix);
      if (name === undefined || name === '' || name.includes('\0'))
        throw this.#damage('an xattr with a name that is not allowed', at);
      known = { name, filterBit: filterBit(index, suffix) };
      this.#names.set(key, known);
    }
    return known;
  }
}
