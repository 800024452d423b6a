import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatDump } from '../../src/tree/dump.ts';
import { parseDump } from '../../src/tree/parse-dump.ts';
import { type DirectoryNode, type Entry, EPOCH, type FileNode, type HardLink, type Tree } from '../../src/tree/tree.ts';
import { randomTree } from '../helpers/random-tree.ts';

const COMMON = { mode: 0o644, uid: 0, gid: 0, nlink: 1, mtime: EPOCH };

function directory(children: Record<string, Entry>, xattrs = new Map<string, Uint8Array>()): DirectoryNode {
  return { type: 'directory', ...COMMON, mode: 0o755, xattrs, children: new Map(Object.entries(children)) };
}

function file(fields: Partial<FileNode> = {}): FileNode {
  return { type: 'file', ...COMMON, xattrs: new Map(), size: 0, ...fields };
}

function lines(tree: Tree, exact = false): string[] {
  return [...formatDump(tree, { exact })];
}

describe('formatDump', () => {
  it('writes a line for every kind of entry, names in byte order', () => {
    const digest = 'ab'.repeat(32) as NonNullable<FileNode['digest']>;
    const object = file({ size: 7, digest, payload: 'ab/cd', mode: 0o4755, nlink: 2 });
    const tree = {
      root: directory({
        z: { type: 'hardlink', target: object },
        o: object,
        'i n': file({ size: 3, content: Buffer.from('a\n-') }),
        '-': file({ size: 1, content: Buffer.from('-') }),
        l: { type: 'symlink', ...COMMON, mode: 0o777, xattrs: new Map(), target: '-' },
        c: { type: 'character', ...COMMON, xattrs: new Map(), rdev: 259, size: 5 },
        p: { type: 'fifo', ...COMMON, xattrs: new Map(), uid: 5, gid: 6, mtime: { seconds: -3n, nanoseconds: 7 } },
        e: file({ xattrs: new Map([['user.=\xff', Buffer.from('= \0')]]), payload: 'unused', digest }),
        d: directory({ sub: directory({}) }),
      }),
    };
    expect(lines(tree)).toEqual([
      '/ 4096 40755 3 0 0 0 0.0 - - -\n',
      '/- 1 100644 1 0 0 0 0.0 - \\x2d -\n',
      '/c 0 20644 1 0 0 259 0.0 - - -\n',
      '/d 42 40755 3 0 0 0 0.0 - - -\n',
      '/d/sub 27 40755 2 0 0 0 0.0 - - -\n',
      '/e 0 100644 1 0 0 0 0.0 - - - user.\\x3d\\xff=\\x3d\\x20\\x00\n',
      '/i\\x20n 3 100644 1 0 0 0 0.0 - a\\n- -\n',
      '/l 1 120777 1 0 0 0 0.0 \\x2d - -\n',
      `/o 7 104755 2 0 0 0 0.0 ab/cd - ${digest}\n`,
      '/p 0 10644 1 5 6 0 -3.7 - - -\n',
      `/z 7 @104755 2 0 0 0 0.0 /o - ${digest}\n`,
    ]);
  });

  it('takes the first name of a file for its primary one, or with exact the tree’s', () => {
    const target = file({ nlink: 3 });
    const link: HardLink = { type: 'hardlink', target };
    const tree = { root: directory({ a: link, b: directory({ f: target }), c: link }) };
    const paths = (exact: boolean) =>
      lines(tree, exact).map((line) =>
        line
          .split(' ')
          .filter((_, field) => [0, 2, 8].includes(field))
          .join(' '),
      );
    expect(paths(false)).toEqual(['/ 40755 -', '/a 100644 -', '/b 40755 -', '/b/f @100644 /a', '/c @100644 /a']);
    expect(paths(true)).toEqual(['/ 40755 -', '/a @100644 /b/f', '/b 40755 -', '/b/f 100644 -', '/c @100644 /b/f']);
  });

  it('leaves out what composefs takes for its own marks, and with exact does not', () => {
    const empty = Buffer.alloc(0);
    const marks = new Map([
      ['user.overlay.whiteouts', empty],
      ['trusted.overlay.whiteouts', empty],
      ['user.overlay.other', empty],
    ]);
    const whiteout = file({
      xattrs: new Map([
        ['trusted.overlay.whiteout', empty],
        ['user.overlay.whiteout', empty],
      ]),
    });
    const tree = { root: directory({ w: whiteout }, marks) };
    expect(lines(tree)).toEqual([
      '/ 4096 40755 2 0 0 0 0.0 - - - user.overlay.other=\n',
      '/w 0 20644 1 0 0 0 0.0 - - -\n',
    ]);
    expect(lines(tree, true)).toEqual([
      '/ 4096 40755 2 0 0 0 0.0 - - - user.overlay.whiteouts= trusted.overlay.whiteouts= user.overlay.other=\n',
      '/w 0 100644 1 0 0 0 0.0 - - - trusted.overlay.whiteout= user.overlay.whiteout=\n',
    ]);
  });

  it('writes the example of docs/formats/dump.md as it is there', () => {
    const page = readFileSync(resolve(import.meta.dirname, '../../docs/formats/dump.md'), 'latin1');
    const example = /## Example\n\n```\n(.*?)^```$/ms.exec(page)?.[1] as string;
    expect(lines(parseDump(Buffer.from(example), { strict: true })).join('')).toBe(example);
  });

  it('is read as the tree that it was written from', () => {
    fc.assert(
      fc.property(randomTree(), (tree) => {
        const text = lines(tree, true).join('');
        const again = parseDump(Buffer.from(text, 'latin1'), { strict: true });
        expect(lines(again, true).join('')).toBe(text);
        expect(again).toEqual(tree);
      }),
      { numRuns: 100 * Number(process.env.OSUPD_TEST_SCALE ?? 1) },
    );
  });
});
