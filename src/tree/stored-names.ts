/**
 * The names that a directory has in a metadata image, and the room its entries take there. Dump lines give that room as a
 * directory's size, so both the dump writer and the image writer count with it.
 */
import type { ByteString } from '../core/bytes.ts';
import type { DirectoryNode } from './tree.ts';

/** Bytes of one block of directory entries. */
const BLOCK_BYTES = 4096;

/** Bytes that an entry takes besides its name. */
export const ENTRY_BYTES = 12;

/** Entries of a last, partly filled block are kept beside the inode up to this size; above it they take a block of their own. */
const MAX_TAIL_BYTES = 2048;

const HEX_DIGITS = '0123456789abcdef';

/**
 * `00` to `ff`: composefs hides them in the root of every image with whiteout devices, because kernels without data-only
 * layers would show the object store's directories of these names there.
 */
export const HIDDEN_NAMES: readonly ByteString[] = [...HEX_DIGITS].flatMap((high) =>
  [...HEX_DIGITS].map((low) => high + low),
);

/** All names that a directory has in an image, in byte order: its children, `.` and `..`, and in the root the hidden names. */
export function storedNames(directory: DirectoryNode, isRoot: boolean): ByteString[] {
  const names = [...directory.children.keys(), '.', '..'];
  if (isRoot) for (const name of HIDDEN_NAMES) if (!directory.children.has(name)) names.push(name);
  return names.sort();
}

export interface DirectorySpace {
  /** Blocks of 4096 bytes filled with entries. */
  readonly blocks: number;
  /** Bytes of the entries that are kept beside the inode. */
  readonly tail: number;
}

/** The room of a directory's entries: blocks are filled in order, an entry never crosses a block boundary. */
export function directorySpace(names: readonly ByteString[]): DirectorySpace {
  let blocks = 0;
  let filled = 0;
  for (const name of names) {
    const bytes = ENTRY_BYTES + name.length;
    if (filled + bytes > BLOCK_BYTES) {
      blocks++;
      filled = 0;
    }
    filled += bytes;
  }
  return filled > MAX_TAIL_BYTES ? { blocks: blocks + 1, tail: 0 } : { blocks, tail: filled };
}

/** Bytes of a directory as `stat` reports them on a mounted image. */
export function directorySize(directory: DirectoryNode, isRoot: boolean): number {
  const { blocks, tail } = directorySpace(storedNames(directory, isRoot));
  return blocks * BLOCK_BYTES + tail;
}
