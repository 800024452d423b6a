/** Reads the composefs header and the EROFS superblock. */
import { MAX_IMAGE_BYTES } from '../core/limits.ts';
import type { Time } from '../tree/tree.ts';
import { BLOCK_BITS, BLOCK_BYTES, FLAG_HAS_ACL, type FormatVersion, HEADER, SUPERBLOCK } from './format.ts';
import { type Damage, readTime } from './read-inode.ts';

export interface Superblock {
  readonly version: FormatVersion;
  readonly hasAcl: boolean;
  readonly rootNid: number;
  /** Number of inodes. */
  readonly inodes: number;
  readonly buildTime: Time;
  /** Block that shared xattrs are counted from. */
  readonly xattrBlock: number;
}

/** The superblock of an image, if it is one that composefs writes and the file has the size that it says. */
export function readSuperblock(image: Buffer, damage: Damage): Superblock {
  if (image.length > MAX_IMAGE_BYTES) throw damage(`an image of more than ${MAX_IMAGE_BYTES} bytes`, 0);
  if (image.length < BLOCK_BYTES || image.length % BLOCK_BYTES !== 0)
    throw damage('the file is not a number of whole blocks', image.length);
  const { offsets: header } = HEADER;
  const { at, offsets } = SUPERBLOCK;
  const expect = (offset: number, value: number, what: string) => {
    if (image.readUInt32LE(offset) !== value) throw damage(what, offset);
  };
  expect(header.magic, HEADER.magic, 'this is not a composefs image');
  expect(header.layoutVersion, HEADER.layoutVersion, 'a composefs header of unknown version');
  const flags = image.readUInt32LE(header.flags);
  if ((flags & ~FLAG_HAS_ACL) !== 0) throw damage('unknown composefs flags', header.flags);
  const version = image.readUInt32LE(header.formatVersion);
  if (version !== 0 && version !== 1) throw damage(`unknown format version ${version}`, header.formatVersion);
  expect(at + offsets.magic, SUPERBLOCK.magic, 'the EROFS superblock is missing');
  expect(at + offsets.featureCompat, SUPERBLOCK.featureCompat, 'unknown EROFS features');
  expect(at + offsets.featureIncompat, 0, 'unknown EROFS features');
  if (image.readUInt8(at + offsets.blockBits) !== BLOCK_BITS)
    throw damage('the block size is not 4096', at + offsets.blockBits);
  expect(at + offsets.metaBlock, 0, 'the inodes are not where composefs puts them');
  expect(at + offsets.blocks, image.length / BLOCK_BYTES, 'the file does not have the size that it says');
  expect(at + offsets.inodes + 4, 0, 'more inodes than an image can have');
  return {
    version,
    hasAcl: flags === FLAG_HAS_ACL,
    rootNid: image.readUInt16LE(at + offsets.rootNid),
    inodes: image.readUInt32LE(at + offsets.inodes),
    buildTime: readTime(image, at + offsets.buildSeconds, damage),
    xattrBlock: image.readUInt32LE(at + offsets.xattrBlock),
  };
}
