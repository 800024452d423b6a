/** The fields of entries that repeat often: their values are listed once, and entries name them by number. */
import { type ByteReader, type ByteString, type ByteWriter, fromBytes, toBytes } from '../../core/bytes.ts';
import { MAX_XATTR_NAME_BYTES, MAX_XATTR_VALUE_BYTES } from '../../core/limits.ts';
import { type Entry, nodeOf, type Time, TYPE_BITS } from '../../tree/tree.ts';
import { damagedDelta } from '../damage.ts';
import type { ColumnName } from './columns.ts';

export interface Field<Value> {
  /** The field's bit in the mask of an entry. */
  readonly bit: number;
  readonly codes: ColumnName;
  readonly values: ColumnName;
  of(entry: Entry): Value;
  /** The same for equal values, and for no others. */
  keyOf(value: Value): string;
  write(values: ByteWriter, value: Value): void;
  read(values: ByteReader): Value;
}

/** st_mode with the file type; 0 says that the entry is a further name of a file. */
export const modeField: Field<number> = {
  bit: 4,
  codes: 'modeCodes',
  values: 'modes',
  of: (entry) => (entry.type === 'hardlink' ? 0 : TYPE_BITS[entry.type] | entry.mode),
  keyOf: String,
  write: (values, mode) => values.varint(mode),
  read(values) {
    const mode = values.varint('a mode');
    if (mode > 0xffff) throw damagedDelta(`a mode of ${mode}`);
    return mode;
  },
};

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

export const ownerField: Field<Owner> = {
  bit: 8,
  codes: 'ownerCodes',
  values: 'owners',
  of(entry) {
    const { uid, gid } = nodeOf(entry);
    return { uid, gid };
  },
  keyOf: ({ uid, gid }) => `${uid}:${gid}`,
  write(values, { uid, gid }) {
    values.varint(uid);
    values.varint(gid);
  },
  read(values) {
    const uid = values.varint('a user number');
    const gid = values.varint('a group number');
    if (uid > 0xffffffff || gid > 0xffffffff) throw damagedDelta(`an owner ${uid}:${gid}`);
    return { uid, gid };
  },
};

export const timeField: Field<Time> = {
  bit: 16,
  codes: 'timeCodes',
  values: 'times',
  of: (entry) => nodeOf(entry).mtime,
  keyOf: ({ seconds, nanoseconds }) => `${seconds}.${nanoseconds}`,
  write(values, { seconds, nanoseconds }) {
    const bits = BigInt.asUintN(64, seconds);
    values.u32(Number(bits & 0xffffffffn));
    values.u32(Number(bits >> 32n));
    values.varint(nanoseconds);
  },
  read(values) {
    const low = BigInt(values.u32('a time'));
    const high = BigInt(values.u32('a time'));
    const nanoseconds = values.varint('nanoseconds');
    if (nanoseconds > 0xffffffff) throw damagedDelta(`a time with ${nanoseconds} nanoseconds`);
    return { seconds: BigInt.asIntN(64, (high << 32n) | low), nanoseconds };
  },
};

export type Xattrs = ReadonlyMap<ByteString, Uint8Array>;

export const xattrsField: Field<Xattrs> = {
  bit: 32,
  codes: 'xattrCodes',
  values: 'xattrs',
  of: (entry) => nodeOf(entry).xattrs,
  keyOf(xattrs) {
    // As most files.
    if (xattrs.size === 0) return '';
    return sorted(xattrs)
      .map(([name, value]) => `${name.length} ${name}${value.length} ${fromBytes(value)}`)
      .join('');
  },
  write(values, xattrs) {
    values.varint(xattrs.size);
    for (const [name, value] of sorted(xattrs)) {
      values.varint(name.length);
      values.bytes(toBytes(name));
      values.varint(value.length);
      values.bytes(value);
    }
  },
  read(values) {
    const xattrs = new Map<ByteString, Uint8Array>();
    for (let count = values.varint('a number of xattrs'); count > 0; count--) {
      const name = fromBytes(takeBlob(values, MAX_XATTR_NAME_BYTES, 'an xattr name'));
      if (xattrs.has(name)) throw damagedDelta('an xattr is there twice');
      xattrs.set(name, Uint8Array.from(takeBlob(values, MAX_XATTR_VALUE_BYTES, 'an xattr value')));
    }
    return xattrs;
  },
};

function sorted(xattrs: Xattrs): [ByteString, Uint8Array][] {
  return [...xattrs].sort(([a], [b]) => (a < b ? -1 : 1));
}

/** Bytes with their length before them. */
function takeBlob(reader: ByteReader, limit: number, what: string): Uint8Array {
  const length = reader.varint(`the length of ${what}`);
  if (length > limit) throw damagedDelta(`${what} of ${length} bytes`);
  return reader.take(length, what);
}
