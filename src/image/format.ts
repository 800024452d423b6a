/**
 * The numbers of a composefs image: an EROFS file system with blocks of 4096 bytes behind a composefs header. All fields are
 * little-endian. docs/formats/image.md has the tables; the source is the EROFS on-disk format of the Linux kernel
 * (fs/erofs/erofs_fs.h) and what composefs 1.0 writes of it.
 */
import type { ByteString } from '../core/bytes.ts';
import { MAX_EXPANSION_BASE_BYTES, MAX_EXPANSION_FACTOR } from '../core/limits.ts';

export const BLOCK_BYTES = 4096;
export const BLOCK_BITS = 12;

/** Inodes start at multiples of this; an inode's number (nid) is its position divided by it. */
export const SLOT_BYTES = 32;

/** The composefs header at the start of the file. */
export const HEADER = {
  bytes: 32,
  magic: 0xd078629a,
  /** Version of the header's layout; the image format's version is a field of its own. */
  layoutVersion: 1,
  offsets: { magic: 0, layoutVersion: 4, flags: 8, formatVersion: 12 },
} as const;

/** Header flag: some inode has a POSIX ACL. */
export const FLAG_HAS_ACL = 1;

export const SUPERBLOCK = {
  at: 1024,
  bytes: 128,
  magic: 0xe0f5e1e2,
  /** Compatible features: 2 = inodes have mtime, 4 = xattr name filters. */
  featureCompat: 6,
  offsets: {
    magic: 0,
    featureCompat: 8,
    blockBits: 12,
    rootNid: 14,
    inodes: 16,
    buildSeconds: 24,
    buildNanoseconds: 32,
    blocks: 36,
    metaBlock: 40,
    xattrBlock: 44,
    featureIncompat: 80,
  },
} as const;

/** Where inodes start: directly behind the superblock. */
export const INODES_START = SUPERBLOCK.at + SUPERBLOCK.bytes;

/** Offsets in an inode's compact form: 16-bit owners and link count, a 32-bit size and the image's smallest mtime. */
export const COMPACT = {
  bytes: 32,
  offsets: { format: 0, xattrCount: 2, mode: 4, nlink: 6, size: 8, union: 16, number: 20, uid: 24, gid: 26 },
} as const;

/** Offsets in the extended form. */
export const EXTENDED = {
  bytes: 64,
  offsets: {
    format: 0,
    xattrCount: 2,
    mode: 4,
    size: 8,
    union: 16,
    number: 20,
    uid: 24,
    gid: 28,
    seconds: 32,
    nanoseconds: 40,
    nlink: 44,
  },
} as const;

/** The format field: bit 0 is set in the extended form, the bits above say how the content is stored. */
export const EXTENDED_BIT = 1;
export const LAYOUT_SHIFT = 1;

/** How an inode's content is stored. */
export const LAYOUT = { plain: 0, inline: 2, chunks: 4 } as const;

const MAX_CHUNK_BITS = 43;
export const MAX_CHUNKS = 1024;
/** An entry of a chunk array that names no block. */
export const NULL_BLOCK = 0xffffffff;

/** File types of directory entries. */
export const ENTRY_TYPE = {
  file: 1,
  directory: 2,
  character: 3,
  block: 4,
  fifo: 5,
  socket: 6,
  symlink: 7,
} as const;

/** Content of files and directories beside the inode: above this a block of its own is used. */
export const MAX_TAIL_BYTES = 2048;

export const XATTR_HEADER_BYTES = 12;
export const XATTR_ENTRY_BYTES = 4;
/** xattrs of one inode that may be kept in the shared table; further ones are kept with the inode. */
export const MAX_SHARED_XATTRS = 128;
/** The name filter hashes the name behind its prefix with this seed plus the prefix' number. */
export const FILTER_SEED = 0x25bbe08f;

/** Prefixes that are stored as a number; a name takes the first that fits, or 0 and the whole name. */
export const XATTR_PREFIXES: readonly { readonly index: number; readonly prefix: ByteString }[] = [
  { index: 1, prefix: 'user.' },
  { index: 2, prefix: 'system.posix_acl_access' },
  { index: 3, prefix: 'system.posix_acl_default' },
  { index: 4, prefix: 'trusted.' },
  { index: 6, prefix: 'security.' },
];

/** xattr names with a meaning for overlayfs, and how composefs escapes those that the tree itself has. */
export const OVERLAY = {
  prefix: 'trusted.overlay.',
  escapedPrefix: 'trusted.overlay.overlay.',
  metacopy: 'trusted.overlay.metacopy',
  redirect: 'trusted.overlay.redirect',
  opaque: 'trusted.overlay.opaque',
  /** Marks of a whiteout of the tree, which is stored as an empty file. */
  whiteout: ['trusted.overlay.overlay.whiteout', 'user.overlay.whiteout'],
  /** Marks of a directory that holds such whiteouts. */
  whiteouts: ['trusted.overlay.overlay.whiteouts', 'user.overlay.whiteouts'],
  /** Further marks of such a directory, with the value `x`, from format version 1 on. */
  opaqueWithWhiteouts: ['trusted.overlay.overlay.opaque', 'user.overlay.opaque'],
} as const;

/** Start of a metacopy value: version 0, length 36, no flags, SHA-256; the digest follows. */
export const METACOPY_HEADER = [0, 36, 0, 1] as const;
export const METACOPY_BYTES = 36;

export type FormatVersion = 0 | 1;

/** `value` rounded up to a multiple of `unit`. */
export function roundUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}

/** Chunk size (as a power of two) and count of a file whose content is elsewhere: as few chunks as possible, none larger than needed. */
export function chunksOf(size: number): { bits: number; count: number } {
  const bits = Math.min(Math.max(bitLength(size - 1), BLOCK_BITS), MAX_CHUNK_BITS);
  return { bits, count: Math.ceil(size / 2 ** bits) };
}

function bitLength(value: number): number {
  const high = Math.floor(value / 2 ** 32);
  return high === 0 ? 32 - Math.clz32(value) : 64 - Math.clz32(high);
}

/** What paths, xattrs and contents of an image's entries may come to when each is written out. */
export function maxExpansion(imageBytes: number): number {
  return MAX_EXPANSION_BASE_BYTES + MAX_EXPANSION_FACTOR * imageBytes;
}
