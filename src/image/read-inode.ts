/** Reads one inode's fixed fields from an image, and checks what they can say alone. */
import type { OsupdError } from '../core/errors.ts';
import { MAX_FILE_BYTES, MAX_INLINE_BYTES, MAX_SYMLINK_BYTES } from '../core/limits.ts';
import { type Time, type TreeNode, TYPE_BITS } from '../tree/tree.ts';
import {
  BLOCK_BITS,
  BLOCK_BYTES,
  COMPACT,
  chunksOf,
  EXTENDED,
  EXTENDED_BIT,
  LAYOUT,
  LAYOUT_SHIFT,
  MAX_TAIL_BYTES,
  XATTR_HEADER_BYTES,
} from './format.ts';

/** Makes the error for bytes that no image has, given what is wrong and where. */
export type Damage = (what: string, offset: number) => OsupdError;

export interface StoredInode {
  /** First byte of the inode. */
  readonly at: number;
  readonly extended: boolean;
  readonly type: TreeNode['type'];
  /** Permission bits. */
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: Time;
  readonly size: number;
  readonly layout: number;
  /** Device number, first block or chunk format. */
  readonly union: number;
  /** Number of the inode in breadth-first order. */
  readonly number: number;
  readonly xattrAt: number;
  readonly xattrBytes: number;
}

const TYPE_OF_BITS = new Map<number, TreeNode['type']>(
  Object.entries(TYPE_BITS).map(([type, bits]) => [bits, type as TreeNode['type']]),
);

/** The inode at a position that is inside the image. */
export function readInode(image: Buffer, at: number, buildTime: Time, damage: Damage): StoredInode {
  if (at + COMPACT.bytes > image.length) throw damage('an inode is cut off', at);
  const format = image.readUInt16LE(at);
  const extended = (format & EXTENDED_BIT) !== 0;
  const layout = format >>> LAYOUT_SHIFT;
  const bytes = extended ? EXTENDED.bytes : COMPACT.bytes;
  const count = image.readUInt16LE(at + COMPACT.offsets.xattrCount);
  const xattrBytes = count === 0 ? 0 : XATTR_HEADER_BYTES + 4 * (count - 1);
  if (at + bytes + xattrBytes > image.length) throw damage('an inode is cut off', at);
  if (count === 1) throw damage('an xattr area without xattrs', at + COMPACT.offsets.xattrCount);
  const typeAndMode = image.readUInt16LE(at + COMPACT.offsets.mode);
  const type = TYPE_OF_BITS.get(typeAndMode & 0o170000);
  if (type === undefined) throw damage('an inode of unknown type', at + COMPACT.offsets.mode);
  const common = {
    at,
    extended,
    type,
    mode: typeAndMode & 0o7777,
    layout,
    union: image.readUInt32LE(at + COMPACT.offsets.union),
    number: image.readUInt32LE(at + COMPACT.offsets.number),
    xattrAt: at + bytes,
    xattrBytes,
  };
  if (!extended) {
    const { offsets } = COMPACT;
    return {
      ...common,
      nlink: image.readUInt16LE(at + offsets.nlink),
      uid: image.readUInt16LE(at + offsets.uid),
      gid: image.readUInt16LE(at + offsets.gid),
      mtime: buildTime,
      size: image.readUInt32LE(at + offsets.size),
    };
  }
  const { offsets } = EXTENDED;
  return {
    ...common,
    nlink: image.readUInt32LE(at + offsets.nlink),
    uid: image.readUInt32LE(at + offsets.uid),
    gid: image.readUInt32LE(at + offsets.gid),
    mtime: readTime(image, at + offsets.seconds, damage),
    size: image.readUInt32LE(at + offsets.size) + image.readUInt32LE(at + offsets.size + 4) * 2 ** 32,
  };
}

/** Seconds (64 bits) and nanoseconds (32 bits). */
export function readTime(image: Buffer, at: number, damage: Damage): Time {
  const nanoseconds = image.readUInt32LE(at + 8);
  if (nanoseconds > 999_999_999) throw damage('a time with more than 999999999 nanoseconds', at + 8);
  return { seconds: image.readBigInt64LE(at), nanoseconds };
}

/** How much content an inode has in the image: full blocks, and bytes beside the inode. */
export interface StoredContent {
  readonly blocks: number;
  readonly tail: number;
}

const NO_CONTENT: StoredContent = { blocks: 0, tail: 0 };

/** The content that the fields of an inode promise, checked against what images have. */
export function contentOf(inode: StoredInode, damage: Damage): StoredContent {
  const { at, type, size, layout } = inode;
  const wrong = (what: string) => damage(what, at);
  switch (type) {
    case 'directory':
      if (size === 0 || (layout === LAYOUT.plain && size % BLOCK_BYTES !== 0))
        throw wrong(`a directory of ${size} bytes`);
      return blocksAndTail(size, layout, wrong);
    case 'symlink':
      if (size === 0 || size > MAX_SYMLINK_BYTES) throw wrong(`a symlink of ${size} bytes`);
      if (layout !== LAYOUT.plain && layout !== LAYOUT.inline) throw wrong('a symlink of unknown layout');
      return { blocks: 0, tail: size };
    case 'file':
      if (layout === LAYOUT.chunks) return chunkArray(inode, wrong);
      if (size > MAX_INLINE_BYTES) throw wrong(`an inline file of ${size} bytes`);
      return blocksAndTail(size, layout, wrong);
    default:
      if (size !== 0 || layout !== LAYOUT.plain) throw wrong(`a ${type} with content`);
      return NO_CONTENT;
  }
}

function blocksAndTail(size: number, layout: number, wrong: (what: string) => OsupdError): StoredContent {
  const tail = size % BLOCK_BYTES;
  const blocks = (size - tail) / BLOCK_BYTES;
  if (layout === LAYOUT.inline) {
    if (tail === 0 || tail > MAX_TAIL_BYTES) throw wrong(`inline content with a tail of ${tail} bytes`);
    return { blocks, tail };
  }
  if (layout !== LAYOUT.plain) throw wrong('content of unknown layout');
  return { blocks: tail === 0 ? blocks : blocks + 1, tail: 0 };
}

function chunkArray({ size, union }: StoredInode, wrong: (what: string) => OsupdError): StoredContent {
  if (size === 0 || size > MAX_FILE_BYTES) throw wrong(`a file of ${size} bytes in chunks`);
  const { bits, count } = chunksOf(size);
  if ((union & 0xffff) !== bits - BLOCK_BITS) throw wrong('a chunk size that does not fit the file size');
  return { blocks: 0, tail: 4 * count };
}
