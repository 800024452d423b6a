import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OsupdError } from '../../src/core/errors.ts';
import { MAX_TREE_DEPTH } from '../../src/core/limits.ts';
import { decodeImage } from '../../src/image/read.ts';
import { encodeImage } from '../../src/image/write.ts';
import { fsverityDigest } from '../../src/objects/fsverity.ts';
import { formatDump } from '../../src/tree/dump.ts';
import { parseDump } from '../../src/tree/parse-dump.ts';
import { type DirectoryNode, type Entry, EPOCH, type FileNode, type Tree, type TreeNode } from '../../src/tree/tree.ts';
import { randomTree } from '../helpers/random-tree.ts';

const COMMON = { mode: 0o644, uid: 0, gid: 0, nlink: 1, mtime: EPOCH };

function tree(children: Record<string, Entry>): Tree {
  return { root: directory(children) };
}

function directory(children: Record<string, Entry> = {}): DirectoryNode {
  return { type: 'directory', ...COMMON, mode: 0o755, xattrs: new Map(), children: new Map(Object.entries(children)) };
}

function file(fields: Partial<FileNode> = {}): FileNode {
  return { type: 'file', ...COMMON, xattrs: new Map(), size: 0, ...fields };
}

function symlink(target: string): TreeNode {
  return { type: 'symlink', ...COMMON, xattrs: new Map(), target };
}

function failure(input: Tree): OsupdError {
  try {
    encodeImage(input);
  } catch (error) {
    if (error instanceof OsupdError) return error;
    throw error;
  }
  throw new Error('not refused');
}

describe('encodeImage', () => {
  it('writes the empty tree as composefs pins it', () => {
    const empty = parseDump(Buffer.from('/ 0 40755 2 0 0 0 0.0 - - -\n'));
    const digests = [0, 1].map((version) => {
      const image = encodeImage(empty, { minVersion: version as 0 | 1, maxVersion: version as 0 | 1 });
      return fsverityDigest(image).slice(0, 12);
    });
    expect(digests).toEqual(['8f589e8f57ec', '14a26c957c84']);
  });

  it('takes version 1 where the tree has a whiteout and the range allows it', () => {
    const whiteout = tree({ w: { type: 'character', ...COMMON, xattrs: new Map(), rdev: 0 } });
    const version = (options?: Parameters<typeof encodeImage>[1]) => encodeImage(whiteout, options).readUInt32LE(12);
    expect(version()).toBe(1);
    expect(version({ minVersion: 0, maxVersion: 0 })).toBe(0);
    expect(encodeImage(tree({})).readUInt32LE(12)).toBe(0);
    expect(encodeImage(tree({}), { minVersion: 1, maxVersion: 0 }).readUInt32LE(12)).toBe(1);
  });

  it('does not change the tree, and gives the same bytes whatever the order of names and xattrs', () => {
    fc.assert(
      fc.property(randomTree(), (input) => {
        const before = [...formatDump(input, { exact: true })].join('');
        const image = encodeImage(input);
        expect([...formatDump(input, { exact: true })].join('')).toBe(before);
        expect(encodeImage({ root: reversed(input.root, new Map()) as DirectoryNode }).equals(image)).toBe(true);
      }),
      { numRuns: 50 },
    );
  });

  it('is read as a tree that gives the same bytes', () => {
    fc.assert(
      fc.property(randomTree(), fc.constantFrom(0 as const, 1 as const), (input, version) => {
        const versions = { minVersion: version, maxVersion: version };
        const image = encodeImage(input, versions);
        const again = decodeImage(image);
        expect(encodeImage(again, versions).equals(image)).toBe(true);
        const text = [...formatDump(again, { exact: true })].join('');
        expect(encodeImage(parseDump(Buffer.from(text, 'latin1'), { strict: true }), versions).equals(image)).toBe(
          true,
        );
      }),
      { numRuns: 150 * Number(process.env.OSUPD_TEST_SCALE ?? 1) },
    );
  });
});

/** The same tree with names and xattrs in the opposite order. */
function reversed(entry: Entry, done: Map<Entry, Entry>): Entry {
  const known = done.get(entry);
  if (known !== undefined) return known;
  if (entry.type === 'hardlink') return { type: 'hardlink', target: reversed(entry.target, done) as FileNode };
  const copy = { ...entry, xattrs: new Map([...entry.xattrs].reverse()) } as TreeNode;
  done.set(entry, copy);
  if (entry.type !== 'directory') return copy;
  const children = [...entry.children].reverse().map(([name, child]) => [name, reversed(child, done)] as const);
  return { ...(copy as DirectoryNode), children: new Map(children) };
}

describe('a tree that an image cannot hold', () => {
  const big = Buffer.alloc(16_000);
  const shared = file();

  it.each<[string, string, Tree]>([
    ['empty name', '/', tree({ '': file() })],
    ["name '.'", '/.', tree({ '.': file() })],
    ['name holds a slash', '/d/a/b', tree({ d: directory({ 'a/b': file() }) })],
    ['name holds a NUL', '/a\\x00', tree({ 'a\0': file() })],
    ['name longer than 255', `/${'n'.repeat(256)}`, tree({ ['n'.repeat(256)]: file() })],
    ['empty symlink target', '/l', tree({ l: symlink('') })],
    ['symlink target of 4096 bytes or more', '/l', tree({ l: symlink('t'.repeat(4096)) })],
    ['symlink target holds a NUL', '/l', tree({ l: symlink('a\0') })],
    ['file larger than the format can hold', '/f', tree({ f: file({ size: 2 ** 53 + 2 }) })],
    ['content length is not the size', '/f', tree({ f: file({ size: 2, content: Buffer.from('a') }) })],
    ['inline content longer than 5000 bytes', '/f', tree({ f: file({ size: 5001, content: Buffer.alloc(5001) }) })],
    ['digest is not 64 hex digits', '/f', tree({ f: file({ size: 1, digest: 'ab' as never }) })],
    ['payload of 4096 bytes or more', '/f', tree({ f: file({ size: 1, payload: 'p'.repeat(4096) }) })],
    ['payload holds a NUL', '/f', tree({ f: file({ size: 1, payload: 'p\0' }) })],
    ['mode has unknown bits', '/f', tree({ f: file({ mode: 0o100644 }) })],
    ['owner does not fit in 32 bits', '/f', tree({ f: file({ uid: 2 ** 32 }) })],
    ['owner does not fit in 32 bits', '/f', tree({ f: file({ gid: -1 }) })],
    ['nlink does not fit in 32 bits', '/f', tree({ f: file({ nlink: 2 ** 32 }) })],
    ['mtime does not fit in 64 bits', '/f', tree({ f: file({ mtime: { seconds: 2n ** 63n, nanoseconds: 0 } }) })],
    [
      'mtime has more than 999999999 nanoseconds',
      '/f',
      tree({ f: file({ mtime: { seconds: 0n, nanoseconds: 1e9 } }) }),
    ],
    ['empty xattr key', '/f', tree({ f: file({ xattrs: new Map([['', big]]) }) })],
    ['xattr key longer than 255', '/f', tree({ f: file({ xattrs: new Map([['k'.repeat(256), big]]) }) })],
    ['xattr value longer than 65535', '/f', tree({ f: file({ xattrs: new Map([['k', Buffer.alloc(65536)]]) }) })],
    [
      'xattrs of one inode too large',
      '/f',
      tree({
        f: file({
          xattrs: new Map([
            ['a', big],
            ['b', big],
            ['c', big],
          ]),
        }),
      }),
    ],
    ['rdev does not fit in 32 bits', '/c', tree({ c: { type: 'block', ...COMMON, xattrs: new Map(), rdev: 2 ** 32 } })],
    ['hard link to a directory', '/h', tree({ h: { type: 'hardlink', target: directory() as never } })],
    ['hard link target is not in the tree', '/h', tree({ h: { type: 'hardlink', target: file() } })],
    ['one node in two places', '/b', tree({ a: shared, b: shared })],
  ])('%s (%s)', (rule, path, input) => {
    expect(failure(input)).toMatchObject({ code: 'invalid-tree', message: rule, where: path, facts: { rule, path } });
  });

  it('a directory that a layer made opaque', () => {
    const layer = directory();
    layer.opaque = true;
    expect(failure(tree({ d: layer })).code).toBe('invalid-tree');
  });

  it('a directory that holds itself', () => {
    const loop = directory();
    loop.children.set('self', loop);
    expect(failure({ root: loop }).facts).toMatchObject({ rule: 'one node in two places' });
  });

  it('more levels of directories than the limit', () => {
    let root = directory();
    for (let depth = 0; depth <= MAX_TREE_DEPTH; depth++) root = directory({ d: root });
    expect(failure({ root })).toMatchObject({ code: 'limit-exceeded', facts: { limit: 'MAX_TREE_DEPTH' } });
  });
});
