/** Where everything of an image is placed. */
import { directorySpace } from '../tree/stored-names.ts';
import { compareTimes, type Time, type TreeNode } from '../tree/tree.ts';
import {
  BLOCK_BYTES,
  COMPACT,
  chunksOf,
  EXTENDED,
  INODES_START,
  MAX_TAIL_BYTES,
  roundUp,
  SLOT_BYTES,
} from './format.ts';
import type { PlacedInode } from './place-inodes.ts';
import type { PreparedImage } from './prepare.ts';
import { xattrAreaBytes } from './xattr-pool.ts';

/** Places by inode number. */
export interface Layout {
  /** First byte of each inode, a multiple of 32. */
  readonly positions: Float64Array;
  /** 1 where the compact form is used. */
  readonly compact: Uint8Array;
  readonly xattrBytes: Uint32Array;
  /** Bytes of content beside the inode, and number of blocks that hold the rest. */
  readonly tails: Uint16Array;
  readonly blocks: Uint32Array;
  /** Number of each inode's first data block, where it has any. */
  readonly firstBlocks: Uint32Array;
  /** End of the inodes, where the shared xattrs start. */
  readonly inodesEnd: number;
  /** First data block's position, and the size of the file. */
  readonly dataStart: number;
  readonly end: number;
}

export function layOut(image: PreparedImage): Layout {
  const { inodes, sharedXattrs, buildTime } = image;
  const count = inodes.length;
  const positions = new Float64Array(count);
  const compact = new Uint8Array(count);
  const xattrBytes = new Uint32Array(count);
  const tails = new Uint16Array(count);
  const blocks = new Uint32Array(count);
  const firstBlocks = new Uint32Array(count);
  let position = INODES_START;
  for (let index = 0; index < count; index++) {
    const inode = inodes[index] as PlacedInode;
    const space = contentSpace(inode);
    const isCompact = fitsCompact(inode, space.blocks * BLOCK_BYTES + space.tail, buildTime);
    const xattrs = xattrAreaBytes(image.xattrs[index] ?? []);
    const before = (isCompact ? COMPACT.bytes : EXTENDED.bytes) + xattrs;
    const placed = placeInode(inode.type, position, before, space.tail);
    compact[index] = isCompact ? 1 : 0;
    xattrBytes[index] = xattrs;
    positions[index] = placed.position;
    tails[index] = placed.tail;
    blocks[index] = space.blocks + placed.extraBlocks;
    position = placed.position + before + placed.tail;
  }
  const inodesEnd = roundUp(position, SLOT_BYTES);
  const sharedBytes = sharedXattrs.reduce((sum, xattr) => sum + xattr.bytes, 0);
  const dataStart = roundUp(inodesEnd + sharedBytes, BLOCK_BYTES);
  let block = dataStart / BLOCK_BYTES;
  for (let index = 0; index < count; index++) {
    firstBlocks[index] = block;
    block += blocks[index] as number;
  }
  return { positions, compact, xattrBytes, tails, blocks, firstBlocks, inodesEnd, dataStart, end: block * BLOCK_BYTES };
}

interface Space {
  readonly blocks: number;
  readonly tail: number;
}

const NO_SPACE: Space = { blocks: 0, tail: 0 };

/** Blocks and tail of an inode's content before its place is known. */
function contentSpace({ node, names }: PlacedInode): Space {
  switch (node.type) {
    case 'directory':
      return directorySpace(names);
    case 'symlink':
      return { blocks: 0, tail: node.target.length };
    case 'file': {
      if (node.size === 0) return NO_SPACE;
      if (node.content === undefined) return { blocks: 0, tail: 4 * chunksOf(node.size).count };
      const blocks = Math.floor(node.size / BLOCK_BYTES);
      const tail = node.size % BLOCK_BYTES;
      return tail > MAX_TAIL_BYTES ? { blocks: blocks + 1, tail: 0 } : { blocks, tail };
    }
    default:
      return NO_SPACE;
  }
}

/** The compact form needs the image's smallest mtime, 16-bit owners and link count, and a 32-bit size. */
function fitsCompact(inode: PlacedInode, directoryBytes: number, buildTime: Time): boolean {
  const { node, nlink } = inode;
  if (compareTimes(node.mtime, buildTime) !== 0) return false;
  if (nlink > 0xffff || node.uid > 0xffff || node.gid > 0xffff) return false;
  return sizeForForm(inode, directoryBytes) <= 0xffffffff;
}

/** Sizes of devices and pipes are stored as 0, but what the tree says of them decides the form. A whiteout counts as empty. */
function sizeForForm({ node, type }: PlacedInode, directoryBytes: number): number {
  switch (node.type) {
    case 'directory':
      return directoryBytes;
    case 'symlink':
      return node.target.length;
    default:
      return type === 'file' && node.type !== 'file' ? 0 : (node.size ?? 0);
  }
}

/** Where an inode is put and how its tail is kept. */
export interface Placed {
  /** First byte of the inode. */
  readonly position: number;
  /** Bytes kept beside the inode: all of the tail or nothing. */
  readonly tail: number;
  /** 1 where the tail takes a block of its own instead. */
  readonly extraBlocks: 0 | 1;
}

/**
 * The place of an inode.
 * @param end where the inode before it ends.
 * @param before bytes of the inode's fields and xattrs.
 * @param tail bytes that should be kept beside it.
 */
export function placeInode(type: TreeNode['type'], end: number, before: number, tail: number): Placed {
  const position = roundUp(end, SLOT_BYTES);
  return type === 'symlink' ? placeSymlink(position, before, tail) : placeOther(position, before, tail);
}

/** A symlink's inode, xattrs and target are in one block; a target for which that is impossible gets a block of its own. */
function placeSymlink(position: number, before: number, target: number): Placed {
  const bytes = before + target;
  const crosses = Math.floor(position / BLOCK_BYTES) !== Math.floor((position + bytes - 1) / BLOCK_BYTES);
  const placed = crosses ? roundUp(position, BLOCK_BYTES) : position;
  return bytes >= BLOCK_BYTES
    ? { position: placed, tail: 0, extraBlocks: 1 }
    : { position: placed, tail: target, extraBlocks: 0 };
}

/** A tail is in one block; the inode and xattrs before it may cross into it. */
function placeOther(position: number, before: number, tail: number): Placed {
  const room = BLOCK_BYTES - ((position + before) % BLOCK_BYTES);
  if (room >= tail) return { position, tail, extraBlocks: 0 };
  const moved = position + roundUp(room, SLOT_BYTES);
  const roomThen = BLOCK_BYTES - ((moved + before) % BLOCK_BYTES);
  if (tail <= roomThen) return { position: moved, tail, extraBlocks: 0 };
  return { position: roundUp(position, BLOCK_BYTES), tail: 0, extraBlocks: 1 };
}
