/** A tree form's columns: like with like, so that they compress well. docs/formats/delta.md has the table. */
import { ByteReader, type ByteString, ByteWriter, fromBytes, toBytes } from '../../core/bytes.ts';
import { damagedDelta } from '../damage.ts';

/** In the order in which they are stored. */
const COLUMN_NAMES = [
  'counts',
  'runs',
  'gaps',
  'masks',
  'depths',
  'modeCodes',
  'modes',
  'ownerCodes',
  'owners',
  'timeCodes',
  'times',
  'xattrCodes',
  'xattrs',
  'sizes',
  'contents',
  'numbers',
  'links',
  'names',
  'targets',
  'inline',
] as const;

export type ColumnName = (typeof COLUMN_NAMES)[number];
export type ColumnWriters = Readonly<Record<ColumnName, ByteWriter>>;
export type ColumnReaders = Readonly<Record<ColumnName, ByteReader>>;

/** Bits of an entry's mask for what is not a {@link Field}. A bit says that the entry differs from the one it continues. */
export const NAME_BIT = 1;
export const DEPTH_BIT = 2;
export const CONTENT_BIT = 64;
export const LINKS_BIT = 128;

/** Codes of a file's content; from `known` on: numbers of digests that are known. */
export const CONTENT_CODE = { new: 0, inline: 1, none: 2, known: 3 } as const;

/** Codes of a field's value; from `known` on: numbers of values that are known. */
export const VALUE_CODE = { new: 0, last: 1, known: 2 } as const;

export function columnWriters(): ColumnWriters {
  return Object.fromEntries(COLUMN_NAMES.map((name) => [name, new ByteWriter()])) as Record<ColumnName, ByteWriter>;
}

/** All columns, each with its length before it. */
export function joinColumns(columns: ColumnWriters): Buffer {
  const joined = new ByteWriter(4096);
  for (const name of COLUMN_NAMES) {
    joined.varint(columns[name].length);
    joined.bytes(columns[name].finish());
  }
  return joined.finish();
}

/** @throws OsupdError `damaged-delta`. */
export function splitColumns(joined: Uint8Array): ColumnReaders {
  const bad = (part: string) => (what: string, offset: number) =>
    damagedDelta(`${what} (byte ${offset} of the tree form's ${part})`);
  const reader = new ByteReader(joined, bad('columns'));
  const columns = COLUMN_NAMES.map((name) => {
    const bytes = reader.take(reader.varint('the length of a column'), `the column "${name}"`);
    return [name, new ByteReader(bytes, bad(name))];
  });
  if (reader.remaining > 0) throw damagedDelta('the tree form goes on behind its last column');
  return Object.fromEntries(columns) as Record<ColumnName, ByteReader>;
}

/** Every column must be used up. @throws OsupdError `damaged-delta`. */
export function expectAllRead(columns: ColumnReaders): void {
  for (const name of COLUMN_NAMES)
    if (columns[name].remaining > 0) throw damagedDelta(`the tree form's column "${name}" has bytes left over`);
}

/** A byte string without NUL, ended by one. */
export function writeText(writer: ByteWriter, text: ByteString): void {
  writer.bytes(toBytes(text));
  writer.u8(0);
}

export function readText(reader: ByteReader, limit: number, what: string): ByteString {
  const { bytes, offset } = reader;
  const end = bytes.subarray(offset, offset + limit + 1).indexOf(0);
  if (end < 0) throw damagedDelta(`${what} is cut off or too long`);
  const text = fromBytes(reader.take(end, what));
  reader.u8(what);
  return text;
}
