/** Fixed fields of an image's structures, with how each is shown to people. */
import { toText } from '../core/bytes.ts';
import { TYPE_BITS } from '../tree/tree.ts';
import { BLOCK_BITS, COMPACT, EXTENDED, EXTENDED_BIT, HEADER, LAYOUT, LAYOUT_SHIFT, SUPERBLOCK } from './format.ts';
import type { StoredInode } from './read-inode.ts';

/** A field in a structure; bytes of a structure that no field covers are shown as zeros. */
export interface ShownField {
  readonly name: string;
  readonly offset: number;
  readonly bytes: 1 | 2 | 4 | 8;
  readonly show: (value: bigint) => string;
}

const decimal = (value: bigint): string => value.toString();
const hex = (value: bigint): string => `0x${value.toString(16)}`;
const signed = (value: bigint): string => BigInt.asIntN(64, value).toString();

function field(
  name: string,
  offset: number,
  bytes: ShownField['bytes'],
  show: (value: bigint) => string = decimal,
): ShownField {
  return { name, offset, bytes, show };
}

export const HEADER_FIELDS: readonly ShownField[] = [
  field('magic', HEADER.offsets.magic, 4, hex),
  field('header version', HEADER.offsets.layoutVersion, 4),
  field('flags', HEADER.offsets.flags, 4, (value) => (value === 1n ? '1 (has ACLs)' : decimal(value))),
  field('format version', HEADER.offsets.formatVersion, 4),
];

export const SUPERBLOCK_FIELDS: readonly ShownField[] = [
  field('magic', SUPERBLOCK.offsets.magic, 4, hex),
  field('compatible features', SUPERBLOCK.offsets.featureCompat, 4, hex),
  field('block size', SUPERBLOCK.offsets.blockBits, 1, (value) => `2^${value}`),
  field('root inode', SUPERBLOCK.offsets.rootNid, 2),
  field('inodes', SUPERBLOCK.offsets.inodes, 8),
  field('build time, seconds', SUPERBLOCK.offsets.buildSeconds, 8, signed),
  field('build time, nanoseconds', SUPERBLOCK.offsets.buildNanoseconds, 4),
  field('blocks', SUPERBLOCK.offsets.blocks, 4),
  field('first inode block', SUPERBLOCK.offsets.metaBlock, 4),
  field('first xattr block', SUPERBLOCK.offsets.xattrBlock, 4),
  field('incompatible features', SUPERBLOCK.offsets.featureIncompat, 4, hex),
];

const LAYOUT_NAMES: Readonly<Record<number, string>> = {
  [LAYOUT.plain]: 'content in blocks',
  [LAYOUT.inline]: 'content ends beside the inode',
  [LAYOUT.chunks]: 'content elsewhere, in chunks',
};

function showFormat(value: bigint): string {
  const format = Number(value);
  const layout = LAYOUT_NAMES[format >>> LAYOUT_SHIFT] ?? `layout ${format >>> LAYOUT_SHIFT}`;
  return `${(format & EXTENDED_BIT) === 0 ? 'compact' : 'extended'}, ${layout}`;
}

function showMode(value: bigint): string {
  const mode = Number(value);
  const type = Object.entries(TYPE_BITS).find(([, bits]) => bits === (mode & 0o170000))?.[0];
  return `${mode.toString(8)} (${type ?? 'unknown type'})`;
}

/** The fields of one inode. */
export function inodeFields(inode: StoredInode): readonly ShownField[] {
  const { format, xattrCount, mode, nlink, size, union, number, uid, gid } = inode.extended
    ? EXTENDED.offsets
    : COMPACT.offsets;
  const owner = inode.extended ? 4 : 2;
  const fields = [
    field('form', format, 2, showFormat),
    field('xattr count', xattrCount, 2),
    field('mode', mode, 2, showMode),
    field('links', nlink, owner),
    field('size', size, inode.extended ? 8 : 4),
    unionField(inode, union),
    field('inode number', number, 4),
    field('uid', uid, owner),
    field('gid', gid, owner),
  ];
  if (inode.extended)
    fields.push(
      field('mtime, seconds', EXTENDED.offsets.seconds, 8, signed),
      field('mtime, nanoseconds', EXTENDED.offsets.nanoseconds, 4),
    );
  return fields;
}

function unionField({ type, layout }: StoredInode, offset: number): ShownField {
  if (layout === LAYOUT.chunks)
    return field(
      'chunk size',
      offset,
      4,
      (value) => `2^${BigInt.asUintN(16, value) + BigInt(BLOCK_BITS)} (${hex(value)})`,
    );
  if (type === 'character' || type === 'block') return field('device', offset, 4, hex);
  return field('first block', offset, 4);
}

/** Some bytes on one line: text as far as it is text, and not all of it when it is long. */
export function showBytes(bytes: Uint8Array): string {
  const SHOWN = 60;
  const shown = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, SHOWN)).toString('latin1');
  const more = bytes.length > SHOWN ? ` and ${bytes.length - SHOWN} more bytes` : '';
  return `"${toText(shown)}"${more}`;
}
