import { describe, expect, it } from 'vitest';
import { OsupdError } from '../../src/core/errors.ts';
import { COMPACT, EXTENDED, HEADER, INODES_START, SUPERBLOCK, XATTR_HEADER_BYTES } from '../../src/image/format.ts';
import { decodeImage, ImageReader } from '../../src/image/read.ts';
import type { StoredInode } from '../../src/image/read-inode.ts';
import { encodeImage } from '../../src/image/write.ts';
import { parseDump } from '../../src/tree/parse-dump.ts';

function imageOf(...lines: string[]): Buffer {
  return encodeImage(parseDump(Buffer.from(['/ 0 40755 2 0 0 0 0.0 - - -', ...lines, ''].join('\n'), 'latin1')));
}

/** The inodes of an image by path. */
function inodesOf(image: Buffer): Map<string, StoredInode> {
  const inodes = new Map<string, StoredInode>();
  new ImageReader(image, undefined, { inode: (path, inode) => inodes.set(path, inode) }).read();
  return inodes;
}

function inode(image: Buffer, path: string): StoredInode {
  const found = inodesOf(image).get(path);
  if (found === undefined) throw new Error(`no ${path}`);
  return found;
}

/** Position of a name's entry: searched for by the inode it points to, in the blocks behind the inodes and in tails. */
function entryTo(image: Buffer, path: string): number {
  const { at } = inode(image, path);
  for (let offset = INODES_START; offset + 12 <= image.length; offset++) {
    if (image.readUInt32LE(offset) === at / 32 && image.readUInt32LE(offset + 4) === 0 && image[offset + 11] === 0) {
      const type = image[offset + 10] as number;
      if (type >= 1 && type <= 7 && image.readUInt16LE(offset + 8) >= 12) return offset;
    }
  }
  throw new Error(`no entry of ${path}`);
}

function damage(image: Buffer): string {
  try {
    decodeImage(image, 'test.img');
  } catch (error) {
    if (!(error instanceof OsupdError)) throw error;
    expect(error).toMatchObject({ code: 'damaged-image', where: 'test.img' });
    expect(error.facts.offset).toBeTypeOf('number');
    return error.facts.what as string;
  }
  return 'read';
}

const DIRECTORIES = imageOf(
  '/d 0 40755 2 0 0 0 0.0 - - -',
  '/d/e 0 40755 2 0 0 0 0.0 - - -',
  '/f 0 100644 1 0 0 0 0.0 - - -',
);

/** A copy with some bytes changed. */
function changed(image: Buffer, change: (copy: Buffer) => void): Buffer {
  const copy = Buffer.from(image);
  change(copy);
  return copy;
}

describe('decodeImage', () => {
  it('takes the name that has the inode for the primary one', () => {
    const tree = decodeImage(
      imageOf('/a 0 40755 2 0 0 0 0.0 - - -', '/a/link 0 @100644 1 0 0 0 0.0 /z - -', '/z 0 100644 2 0 0 0 0.0 - - -'),
    );
    expect(tree.root.children.get('z')).toMatchObject({ type: 'file' });
    const directory = tree.root.children.get('a');
    expect(directory?.type === 'directory' && directory.children.get('link')).toEqual({
      type: 'hardlink',
      target: tree.root.children.get('z'),
    });
  });

  it('gives views of the image, no copies', () => {
    const image = imageOf('/f 5 100644 1 0 0 0 0.0 - hello -');
    const file = decodeImage(image).root.children.get('f');
    const content = file?.type === 'file' ? file.content : undefined;
    expect(content?.buffer).toBe(image.buffer);
  });
});

describe('the header and superblock', () => {
  const { offsets } = SUPERBLOCK;
  it.each<[string, number]>([
    ['this is not a composefs image', HEADER.offsets.magic],
    ['a composefs header of unknown version', HEADER.offsets.layoutVersion],
    ['unknown composefs flags', HEADER.offsets.flags + 1],
    ['unknown format version 2', HEADER.offsets.formatVersion],
    ['the EROFS superblock is missing', SUPERBLOCK.at + offsets.magic],
    ['unknown EROFS features', SUPERBLOCK.at + offsets.featureCompat],
    ['unknown EROFS features', SUPERBLOCK.at + offsets.featureIncompat],
    ['the block size is not 4096', SUPERBLOCK.at + offsets.blockBits],
    ['the inodes are not where composefs puts them', SUPERBLOCK.at + offsets.metaBlock],
    ['the file does not have the size that it says', SUPERBLOCK.at + offsets.blocks],
    ['the number of inodes is wrong', SUPERBLOCK.at + offsets.inodes],
    ['more inodes than an image can have', SUPERBLOCK.at + offsets.inodes + 4],
    ['the root is not the first inode', SUPERBLOCK.at + offsets.rootNid],
    ['the shared xattrs are not behind the inodes', SUPERBLOCK.at + offsets.xattrBlock],
    ['a time with more than 999999999 nanoseconds', SUPERBLOCK.at + offsets.buildNanoseconds + 3],
  ])('%s', (what, offset) => {
    const image = changed(DIRECTORIES, (copy) => {
      copy[offset] = offset === SUPERBLOCK.at + offsets.buildNanoseconds + 3 ? 0xff : (copy[offset] as number) ^ 2;
    });
    expect(damage(image)).toBe(what);
  });

  it('a file that is no image', () => {
    expect(damage(Buffer.alloc(0))).toBe('the file is not a number of whole blocks');
    expect(damage(Buffer.alloc(4096))).toBe('this is not a composefs image');
    expect(damage(Buffer.alloc(5000, 0xff))).toBe('the file is not a number of whole blocks');
  });
});

describe('directories that lead astray', () => {
  it('a loop: an entry that points to a directory above it', () => {
    const image = changed(DIRECTORIES, (copy) => {
      copy.writeUInt32LE(inode(copy, '/').at / 32, entryTo(copy, '/d/e'));
    });
    expect(damage(image)).toBe('a directory with two names');
  });

  it('a directory that is in two places', () => {
    const image = changed(DIRECTORIES, (copy) => {
      const entry = entryTo(copy, '/f');
      copy.writeUInt32LE(inode(DIRECTORIES, '/d').at / 32, entry);
      copy.writeUInt8(2, entry + 10);
    });
    expect(damage(image)).toBe('a directory with two names');
  });

  it("'.' and '..' that point elsewhere", () => {
    const { at, xattrAt, xattrBytes } = inode(DIRECTORIES, '/d/e');
    for (const slot of [0, 1]) {
      const image = changed(DIRECTORIES, (copy) => copy.writeUInt32LE(at / 32 + 1, xattrAt + xattrBytes + 12 * slot));
      expect(damage(image)).toBe(`'${slot === 0 ? '.' : '..'}' points elsewhere`);
    }
  });

  it('entries behind the image, in it but at no inode, and at the superblock', () => {
    const entry = entryTo(DIRECTORIES, '/f');
    const pointTo = (nid: number) => damage(changed(DIRECTORIES, (copy) => copy.writeUInt32LE(nid, entry)));
    expect(pointTo(0xffffffff)).toBe('an inode is outside of the image');
    expect(pointTo(0)).toBe('an inode is outside of the image');
    expect(pointTo(DIRECTORIES.length / 32 - 1)).not.toBe('read');
    expect(damage(changed(DIRECTORIES, (copy) => copy.writeUInt32LE(1, entry + 4)))).toBe(
      'an entry points behind the image',
    );
  });

  it('a name that no inode is left for', () => {
    // The file's number says that its primary name is still to come.
    const image = changed(DIRECTORIES, (copy) => {
      copy.writeUInt32LE(9999, inode(DIRECTORIES, '/f').at + COMPACT.offsets.number);
    });
    expect(damage(image)).not.toBe('read');
  });

  it('two directories with the same blocks', () => {
    const lines = ['a', 'b'].flatMap((name) => [
      `/${name} 0 40755 2 0 0 0 0.0 - - -`,
      ...Array.from(
        { length: 20 },
        (_, index) => `/${name}/${'n'.repeat(150)}${index + 10} 0 100644 1 0 0 0 0.0 - - -`,
      ),
    ]);
    const image = imageOf(...lines);
    const first = image.readUInt32LE(inode(image, '/a').at + COMPACT.offsets.union);
    const shared = changed(image, (copy) => copy.writeUInt32LE(first, inode(image, '/b').at + COMPACT.offsets.union));
    expect(damage(shared)).toBe('the blocks of an inode are not in their place');
  });

  it('names out of order or with a slash, a wrong link count, a wrong type', () => {
    // Names follow each other: `ef`, `f`, `f0`; and in /d `.`, `..`, `e`.
    const name = DIRECTORIES.indexOf('efff0') + 2;
    expect(damage(changed(DIRECTORIES, (copy) => copy.write('z', name)))).toBe(
      'the names of a directory are not in order',
    );
    const below = DIRECTORIES.indexOf('...e') + 3;
    expect(damage(changed(DIRECTORIES, (copy) => copy.write('/', below)))).toBe('name holds a slash');
    const { at } = inode(DIRECTORIES, '/d');
    expect(damage(changed(DIRECTORIES, (copy) => copy.writeUInt16LE(5, at + COMPACT.offsets.nlink)))).toBe(
      'the link count of a directory is wrong',
    );
    const type = entryTo(DIRECTORIES, '/f') + 10;
    expect(damage(changed(DIRECTORIES, (copy) => copy.writeUInt8(7, type)))).toBe("an entry's type is not its inode's");
  });
});

describe('inodes that lie', () => {
  const FILE = imageOf(
    `/f 9 100644 1 0 0 0 5.0 ab/cd - ${'ab'.repeat(32)}`,
    '/g 3 100644 1 0 0 0 0.0 - abc -',
    '/l 1 120777 1 0 0 0 0.0 t - -',
    '/p 0 10644 1 0 0 0 0.0 - - -',
  );

  it.each<[string, string, number, number]>([
    ['content of unknown layout', '/g', COMPACT.offsets.format, 3 << 1],
    ['content of unknown layout', '/g', COMPACT.offsets.format, 1 << 1],
    ['content of unknown layout', '/g', COMPACT.offsets.format, 0x8000],
    ['an xattr area without xattrs', '/g', COMPACT.offsets.xattrCount, 1],
    ['an inode is cut off', '/g', COMPACT.offsets.xattrCount, 0xffff],
    ['an inode of unknown type', '/g', COMPACT.offsets.mode, 0o170644],
    ['an inline file of 65535 bytes', '/g', COMPACT.offsets.size, 0xffff],
    ['inline content with a tail of 3000 bytes', '/g', COMPACT.offsets.size, 3000],
    ['a symlink of 0 bytes', '/l', COMPACT.offsets.size, 0],
    ['a symlink of 5000 bytes', '/l', COMPACT.offsets.size, 5000],
    ['a symlink of the wrong layout', '/l', COMPACT.offsets.format, 0],
    ['a symlink of unknown layout', '/l', COMPACT.offsets.format, 4 << 1],
    ['a fifo with content', '/p', COMPACT.offsets.size, 1],
    ['a chunk size that does not fit the file size', '/f', EXTENDED.offsets.union, 5],
    ['a file of 0 bytes in chunks', '/f', EXTENDED.offsets.size, 0],
  ])('%s', (what, path, offset, value) => {
    expect(damage(changed(FILE, (copy) => copy.writeUInt16LE(value, inode(FILE, path).at + offset)))).toBe(what);
  });

  it('an object without its mark, and marks where none belong', () => {
    const at = FILE.indexOf('overlay.metacopy');
    expect(damage(changed(FILE, (copy) => copy.write('overlay.metacopx', at)))).toBe(
      'the name filter does not fit the xattrs',
    );
    const redirect = FILE.indexOf('/ab/cd');
    expect(damage(changed(FILE, (copy) => copy.write('x', redirect)))).toBe('a path of an object that is not allowed');
    expect(damage(changed(FILE, (copy) => copy.writeUInt8(9, at + 'overlay.metacopy'.length)))).toBe(
      'a metacopy mark of unknown form',
    );
    const opaque = FILE.indexOf('overlay.opaquey');
    expect(damage(changed(FILE, (copy) => copy.write('z', opaque + 'overlay.opaque'.length)))).toBe(
      'an overlay xattr that composefs does not write',
    );
  });

  it('a whiteout device that is none of the hidden names', () => {
    const image = imageOf('/c 0 20644 1 0 0 259 0.0 - - -');
    const at = inode(image, '/c').at + COMPACT.offsets.union;
    expect(damage(changed(image, (copy) => copy.writeUInt32LE(0, at)))).toBe(
      'a whiteout device that is not one of the hidden names',
    );
  });
});

describe('xattrs', () => {
  const image = imageOf(
    '/a 0 100644 1 0 0 0 0.0 - - - user.s=shared user.own=1',
    '/b 0 100644 1 0 0 0 0.0 - - - user.s=shared',
  );
  const { xattrAt } = inode(image, '/a');

  it.each<[string, (copy: Buffer) => void]>([
    ['too many shared xattrs', (copy) => copy.writeUInt8(129, xattrAt + 4)],
    ['too many shared xattrs', (copy) => copy.writeUInt8(20, xattrAt + 4)],
    ['a shared xattr is behind the image', (copy) => copy.writeUInt32LE(0xffffffff, xattrAt + XATTR_HEADER_BYTES)],
    ['the name filter does not fit the xattrs', (copy) => copy.writeUInt32LE(0xffffffff, xattrAt)],
    ['an xattr is cut off', (copy) => copy.writeUInt8(200, xattrAt + XATTR_HEADER_BYTES + 4)],
    ['an xattr is cut off', (copy) => copy.writeUInt16LE(200, xattrAt + XATTR_HEADER_BYTES + 6)],
    ['an xattr with a name that is not allowed', (copy) => copy.writeUInt8(5, xattrAt + XATTR_HEADER_BYTES + 5)],
  ])('%s', (what, change) => {
    expect(damage(changed(image, change))).toBe(what);
  });

  it('a shared xattr that belongs to an inode is out of place', () => {
    const other = imageOf(
      '/a 0 100644 1 0 0 0 0.0 - - - user.s=shared',
      '/b 0 100644 1 0 0 0 0.0 - - - user.s=shared',
      '/z 0 100644 1 0 0 0 0.0 - - - user.s=own',
    );
    const inodes = inodesOf(other);
    const own = (inodes.get('/z')?.xattrAt as number) + XATTR_HEADER_BYTES;
    const table = other.readUInt32LE(SUPERBLOCK.at + SUPERBLOCK.offsets.xattrBlock) * 4096;
    const idAt = (inodes.get('/a')?.xattrAt as number) + XATTR_HEADER_BYTES;
    expect(damage(changed(other, (copy) => copy.writeUInt32LE((own - table) / 4, idAt)))).toBe(
      'a shared xattr is out of place',
    );
  });

  it('a large xattr that thousands of inodes share is more than the image may come to', () => {
    const big = 'v'.repeat(32_000);
    const lines = Array.from(
      { length: 1000 },
      (_, index) => `/f${index} 0 100644 1 0 0 0 0.0 - - - user.s=${index < 2 ? big : 'small'}`,
    );
    const good = imageOf(...lines);
    const inodes = inodesOf(good);
    const bigId = good.readUInt32LE((inodes.get('/f0')?.xattrAt as number) + XATTR_HEADER_BYTES);
    const bomb = changed(good, (copy) => {
      for (let index = 2; index < 1000; index++)
        copy.writeUInt32LE(bigId, (inodes.get(`/f${index}`)?.xattrAt as number) + XATTR_HEADER_BYTES);
    });
    expect(damage(good)).toBe('read');
    expect(damage(bomb)).toBe('paths and xattrs that come to far more than the image');
  });

  it('a tree like that is not written in the first place', () => {
    const lines = Array.from(
      { length: 1000 },
      (_, index) => `/f${index} 0 100644 1 0 0 0 0.0 - - - user.s=${'v'.repeat(32_000)}`,
    );
    expect(() => imageOf(...lines)).toThrow(expect.objectContaining({ code: 'limit-exceeded' }));
  });
});
