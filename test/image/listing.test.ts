import { describe, expect, it } from 'vitest';
import { listTree, objectPaths, plainEntries, summarizeTree } from '../../src/image/listing.ts';
import { parseDump } from '../../src/tree/parse-dump.ts';

const TREE = parseDump(
  Buffer.from(
    `/ 0 40755 2 0 0 0 0.0 - - -
/a\\x20b 0 40755 2 0 0 0 0.0 - - -
/a\\x20b/link 0 @100644 1 0 0 0 0.0 /object - -
/empty 0 100644 1 0 0 0 0.0 - - -
/inline 3 100644 1 7 8 0 0.0 - abc -
/no-path 5 100644 1 0 0 0 0.0 - - ${'cd'.repeat(32)}
/null 0 20666 1 0 0 259 0.0 - - -
/object 10 104755 2 0 0 0 0.0 ab/c\\x20d - ${'ab'.repeat(32)}
/pipe 0 10644 1 0 0 0 0.0 - - -
/same 10 100644 1 0 0 0 0.0 ab/c\\x20d - ${'ab'.repeat(32)}
/symlink 2 120777 1 0 0 0 0.0 t\\xff - -
/whiteout 0 20644 1 0 0 0 0.0 - - -
`,
  ),
);

describe('listTree', () => {
  it('lists as composefs-info ls: targets, objects, further names alone', () => {
    expect([...listTree(TREE)]).toEqual([
      '/a b/\t\n',
      '/a b/link\t@ ab/c\\x20d\n',
      '/empty\n',
      '/inline\n',
      '/no-path\n',
      '/null\n',
      '/object\n',
      '/pipe\n',
      '/same\t@ ab/c\\x20d\n',
      '/symlink\t-> t\\xff\n',
      '/whiteout\n',
    ]);
  });
});

describe('objectPaths', () => {
  it('names each object once', () => {
    expect(objectPaths(TREE)).toEqual(['ab/c d']);
  });
});

describe('summarizeTree', () => {
  it('counts inodes by type, names, and objects once', () => {
    expect(summarizeTree(TREE)).toEqual({
      names: 12,
      directories: 2,
      files: 5,
      symlinks: 1,
      devices: 1,
      pipesAndSockets: 1,
      whiteouts: 1,
      hardLinks: 1,
      inline: { files: 1, bytes: 3 },
      objects: { count: 2, bytes: 15 },
      bytes: 28,
    });
  });
});

describe('plainEntries', () => {
  it('is what programs want to know', () => {
    const entries = [...plainEntries(TREE)];
    expect(entries.find(({ path }) => path === '/a b/link')).toEqual({
      path: '/a b/link',
      type: 'hardlink',
      mode: '4755',
      uid: 0,
      gid: 0,
      size: 10,
      digest: 'ab'.repeat(32),
    });
    expect(entries.find(({ path }) => path === '/symlink')).toMatchObject({ target: 't\\xff', mode: '0777' });
  });
});
