/** Writes a tree as a metadata image, byte for byte as composefs' mkcomposefs does (docs/formats/image.md). */
import type { ByteString } from '../core/bytes.ts';
import { OsupdError } from '../core/errors.ts';
import { MAX_IMAGE_BYTES } from '../core/limits.ts';
import { ENTRY_BYTES } from '../tree/stored-names.ts';
import { type Tree, TYPE_BITS } from '../tree/tree.ts';
import {
  BLOCK_BITS,
  BLOCK_BYTES,
  COMPACT,
  chunksOf,
  ENTRY_TYPE,
  EXTENDED,
  EXTENDED_BIT,
  FLAG_HAS_ACL,
  type FormatVersion,
  HEADER,
  LAYOUT,
  LAYOUT_SHIFT,
  MAX_CHUNKS,
  maxExpansion,
  NULL_BLOCK,
  SLOT_BYTES,
  SUPERBLOCK,
  XATTR_ENTRY_BYTES,
  XATTR_HEADER_BYTES,
} from './format.ts';
import { type Layout, layOut } from './layout.ts';
import type { PlacedInode } from './place-inodes.ts';
import { type PreparedImage, prepareImage } from './prepare.ts';
import { nameFilter, type StoredXattr, splitXattrs } from './xattr-pool.ts';

export interface EncodeOptions {
  /** Lowest format version to write; 0 by default. */
  readonly minVersion?: FormatVersion;
  /** Highest format version; the image gets it where the tree has whiteouts. 1 by default, never below `minVersion`. */
  readonly maxVersion?: FormatVersion;
}

/**
 * The image of a tree.
 * @throws OsupdError `invalid-tree` with facts `rule` and `path` where the format cannot hold the tree; `limit-exceeded`.
 */
export function encodeImage(tree: Tree, options: EncodeOptions = {}): Buffer {
  const minVersion = options.minVersion ?? 0;
  const maxVersion = options.maxVersion ?? 1;
  const image = prepareImage(tree, { minVersion, maxVersion: Math.max(maxVersion, minVersion) as FormatVersion });
  const layout = layOut(image);
  if (layout.end > MAX_IMAGE_BYTES)
    throw new OsupdError('limit-exceeded', `the image would have ${layout.end} bytes, more than ${MAX_IMAGE_BYTES}`, {
      facts: { limit: 'MAX_IMAGE_BYTES', bytes: layout.end },
    });
  // Such an image could be written, but nobody would read it.
  if (image.expansion > maxExpansion(layout.end))
    throw new OsupdError('limit-exceeded', 'names and xattrs that come to far more than the image itself', {
      facts: { limit: 'MAX_EXPANSION_FACTOR', bytes: image.expansion },
    });
  return new ImageWriter(image, layout).write();
}

class ImageWriter {
  readonly #image: PreparedImage;
  readonly #layout: Layout;
  readonly #out: Buffer;

  constructor(image: PreparedImage, layout: Layout) {
    this.#image = image;
    this.#layout = layout;
    this.#out = Buffer.alloc(layout.end);
  }

  write(): Buffer {
    this.#writeHeader();
    this.#writeSuperblock();
    for (let index = 0; index < this.#image.inodes.length; index++) this.#writeInode(index);
    let at = this.#layout.inodesEnd;
    for (const xattr of this.#image.sharedXattrs) at = this.#writeXattr(xattr, at);
    return this.#out;
  }

  #writeHeader(): void {
    const { offsets } = HEADER;
    this.#out.writeUInt32LE(HEADER.magic, offsets.magic);
    this.#out.writeUInt32LE(HEADER.layoutVersion, offsets.layoutVersion);
    this.#out.writeUInt32LE(this.#image.hasAcl ? FLAG_HAS_ACL : 0, offsets.flags);
    this.#out.writeUInt32LE(this.#image.version, offsets.formatVersion);
  }

  #writeSuperblock(): void {
    const { at, offsets } = SUPERBLOCK;
    const { inodes, buildTime } = this.#image;
    const { positions, inodesEnd, end } = this.#layout;
    this.#out.writeUInt32LE(SUPERBLOCK.magic, at + offsets.magic);
    this.#out.writeUInt32LE(SUPERBLOCK.featureCompat, at + offsets.featureCompat);
    this.#out.writeUInt8(BLOCK_BITS, at + offsets.blockBits);
    this.#out.writeUInt16LE((positions[0] as number) / SLOT_BYTES, at + offsets.rootNid);
    this.#out.writeUInt32LE(inodes.length, at + offsets.inodes);
    this.#out.writeBigInt64LE(buildTime.seconds, at + offsets.buildSeconds);
    this.#out.writeUInt32LE(buildTime.nanoseconds, at + offsets.buildNanoseconds);
    this.#out.writeUInt32LE(end / BLOCK_BYTES, at + offsets.blocks);
    this.#out.writeUInt32LE(Math.floor(inodesEnd / BLOCK_BYTES), at + offsets.xattrBlock);
  }

  #writeInode(index: number): void {
    const inode = this.#image.inodes[index] as PlacedInode;
    const position = this.#layout.positions[index] as number;
    const compact = this.#layout.compact[index] === 1;
    if (compact) this.#writeCompact(inode, index, position);
    else this.#writeExtended(inode, index, position);
    const xattrs = position + (compact ? COMPACT.bytes : EXTENDED.bytes);
    this.#writeXattrArea(this.#image.xattrs[index] ?? [], xattrs);
    const block = (this.#layout.firstBlocks[index] as number) * BLOCK_BYTES;
    this.#writeContent(inode, index, xattrs + (this.#layout.xattrBytes[index] as number), block);
  }

  #format(inode: PlacedInode, index: number): number {
    if (chunkBits(inode) !== undefined) return LAYOUT.chunks << LAYOUT_SHIFT;
    return ((this.#layout.tails[index] as number) > 0 ? LAYOUT.inline : LAYOUT.plain) << LAYOUT_SHIFT;
  }

  #xattrCount(index: number): number {
    const bytes = this.#layout.xattrBytes[index] as number;
    return bytes === 0 ? 0 : (bytes - XATTR_HEADER_BYTES) / 4 + 1;
  }

  #size({ node }: PlacedInode, index: number): number {
    switch (node.type) {
      case 'directory':
        return (this.#layout.blocks[index] as number) * BLOCK_BYTES + (this.#layout.tails[index] as number);
      case 'file':
        return node.size;
      case 'symlink':
        return node.target.length;
      default:
        return 0;
    }
  }

  /** The field that holds a device number, a first block or a chunk format. */
  #union(inode: PlacedInode, index: number): number {
    const { node, type } = inode;
    if ((node.type === 'character' || node.type === 'block') && type === node.type) return node.rdev;
    const block = (this.#layout.blocks[index] as number) > 0 ? (this.#layout.firstBlocks[index] as number) : 0;
    const bits = chunkBits(inode);
    // The chunk format takes the low half of the field, also where a block number was there.
    return bits === undefined ? block : ((block & 0xffff0000) >>> 0) + bits - BLOCK_BITS;
  }

  #writeCompact(inode: PlacedInode, index: number, at: number): void {
    const out = this.#out;
    const { offsets } = COMPACT;
    const { node, type, nlink } = inode;
    out.writeUInt16LE(this.#format(inode, index), at + offsets.format);
    out.writeUInt16LE(this.#xattrCount(index), at + offsets.xattrCount);
    out.writeUInt16LE(TYPE_BITS[type] | node.mode, at + offsets.mode);
    out.writeUInt16LE(nlink, at + offsets.nlink);
    out.writeUInt32LE(this.#size(inode, index), at + offsets.size);
    out.writeUInt32LE(this.#union(inode, index), at + offsets.union);
    out.writeUInt32LE(index, at + offsets.number);
    out.writeUInt16LE(node.uid, at + offsets.uid);
    out.writeUInt16LE(node.gid, at + offsets.gid);
  }

  #writeExtended(inode: PlacedInode, index: number, at: number): void {
    const out = this.#out;
    const { offsets } = EXTENDED;
    const { node, type, nlink } = inode;
    const size = this.#size(inode, index);
    out.writeUInt16LE(this.#format(inode, index) | EXTENDED_BIT, at + offsets.format);
    out.writeUInt16LE(this.#xattrCount(index), at + offsets.xattrCount);
    out.writeUInt16LE(TYPE_BITS[type] | node.mode, at + offsets.mode);
    out.writeUInt32LE(size % 2 ** 32, at + offsets.size);
    out.writeUInt32LE(Math.floor(size / 2 ** 32), at + offsets.size + 4);
    out.writeUInt32LE(this.#union(inode, index), at + offsets.union);
    out.writeUInt32LE(index, at + offsets.number);
    out.writeUInt32LE(node.uid, at + offsets.uid);
    out.writeUInt32LE(node.gid, at + offsets.gid);
    out.writeBigInt64LE(node.mtime.seconds, at + offsets.seconds);
    out.writeUInt32LE(node.mtime.nanoseconds, at + offsets.nanoseconds);
    out.writeUInt32LE(nlink, at + offsets.nlink);
  }

  #writeXattrArea(xattrs: readonly StoredXattr[], start: number): void {
    if (xattrs.length === 0) return;
    const { shared, own } = splitXattrs(xattrs);
    const table = this.#layout.inodesEnd % BLOCK_BYTES;
    this.#out.writeUInt32LE(nameFilter(xattrs), start);
    this.#out.writeUInt8(shared.length, start + 4);
    let at = start + XATTR_HEADER_BYTES;
    for (const { sharedOffset } of shared) at = this.#out.writeUInt32LE((table + sharedOffset) / 4, at);
    for (const xattr of own) at = this.#writeXattr(xattr, at);
  }

  #writeXattr({ name: { index, suffix }, value, bytes }: StoredXattr, at: number): number {
    const out = this.#out;
    out.writeUInt8(suffix.length, at);
    out.writeUInt8(index, at + 1);
    out.writeUInt16LE(value.length, at + 2);
    out.write(suffix, at + XATTR_ENTRY_BYTES, 'latin1');
    out.write(value, at + XATTR_ENTRY_BYTES + suffix.length, 'latin1');
    return at + bytes;
  }

  #writeContent(inode: PlacedInode, index: number, tailAt: number, blockAt: number): void {
    const { node } = inode;
    const inline = this.#layout.blocks[index] === 0;
    switch (node.type) {
      case 'directory':
        this.#writeDirectory(inode, index, tailAt, blockAt);
        break;
      case 'symlink':
        this.#out.write(node.target, inline ? tailAt : blockAt, 'latin1');
        break;
      case 'file':
        if (node.size === 0) break;
        if (node.content === undefined) this.#writeChunks(chunksOf(node.size).count, inline, tailAt, blockAt);
        else this.#writeFile(node.content, this.#layout.tails[index] as number, tailAt, blockAt);
    }
  }

  #writeChunks(count: number, inline: boolean, tailAt: number, blockAt: number): void {
    const at = inline ? tailAt : blockAt;
    for (let chunk = 0; chunk < (inline ? count : MAX_CHUNKS); chunk++)
      this.#out.writeUInt32LE(NULL_BLOCK, at + 4 * chunk);
  }

  /** Blocks hold the first bytes, the tail the last ones. */
  #writeFile(content: Uint8Array, tail: number, tailAt: number, blockAt: number): void {
    const split = content.length - tail;
    if (split > 0) this.#out.set(content.subarray(0, split), blockAt);
    this.#out.set(content.subarray(split), tailAt);
  }

  #writeDirectory(inode: PlacedInode, index: number, tailAt: number, blockAt: number): void {
    const { names } = inode;
    const blocks = this.#layout.blocks[index] as number;
    let first = 0;
    let filled = 0;
    let block = 0;
    for (let slot = 0; slot < names.length; slot++) {
      const bytes = ENTRY_BYTES + (names[slot] as ByteString).length;
      if (filled + bytes > BLOCK_BYTES) {
        this.#writeEntries(inode, first, slot, blockAt + block * BLOCK_BYTES);
        block++;
        first = slot;
        filled = 0;
      }
      filled += bytes;
    }
    this.#writeEntries(inode, first, names.length, block < blocks ? blockAt + block * BLOCK_BYTES : tailAt);
  }

  #writeEntries({ names, children }: PlacedInode, first: number, end: number, start: number): void {
    const out = this.#out;
    let entryAt = start;
    let nameAt = start + ENTRY_BYTES * (end - first);
    for (let slot = first; slot < end; slot++) {
      const name = names[slot] as ByteString;
      const child = children[slot] as number;
      out.writeUInt32LE((this.#layout.positions[child] as number) / SLOT_BYTES, entryAt);
      out.writeUInt16LE(nameAt - start, entryAt + 8);
      out.writeUInt8(ENTRY_TYPE[(this.#image.inodes[child] as PlacedInode).type], entryAt + 10);
      out.write(name, nameAt, 'latin1');
      entryAt += ENTRY_BYTES;
      nameAt += name.length;
    }
  }
}

/** Chunk size of a file whose content is elsewhere, as a power of two. */
function chunkBits({ node }: PlacedInode): number | undefined {
  return node.type === 'file' && node.size > 0 && node.content === undefined ? chunksOf(node.size).bits : undefined;
}
