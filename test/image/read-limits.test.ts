/** Images that break a limit of core/limits.ts: they are written under the real limits and read under lower ones. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { decodeImage } from '../../src/image/read.ts';
import { encodeImage } from '../../src/image/write.ts';
import { parseDump } from '../../src/tree/parse-dump.ts';

const lowered = vi.hoisted(() => ({}) as Record<string, number>);

vi.mock('../../src/core/limits.ts', async (original) => {
  const limits = await original<Record<string, number>>();
  return Object.defineProperties(
    {},
    Object.fromEntries(
      Object.keys(limits).map((name) => [name, { enumerable: true, get: () => lowered[name] ?? limits[name] }]),
    ),
  );
});

afterEach(() => {
  for (const name of Object.keys(lowered)) delete lowered[name];
});

function chain(levels: number, name: string, files: number): Buffer {
  const lines = ['/ 0 40755 2 0 0 0 0.0 - - -'];
  let path = '';
  for (let level = 0; level < levels; level++) {
    path += `/${name}`;
    lines.push(`${path} 0 40755 2 0 0 0 0.0 - - -`);
  }
  for (let file = 0; file < files; file++) lines.push(`${path}/${file} 0 100644 1 0 0 0 0.0 - - -`);
  return encodeImage(parseDump(Buffer.from(`${lines.join('\n')}\n`)));
}

describe('limits on images', () => {
  it('levels of directories', () => {
    const image = chain(20, 'd', 0);
    decodeImage(image);
    lowered.MAX_TREE_DEPTH = 19;
    expect(() => decodeImage(image)).toThrow(/^more than 19 levels of directories/);
  });

  it('the deepest tree that is allowed makes no stack overflow', () => {
    expect(() => decodeImage(chain(2048, 'd', 1))).not.toThrow();
  });

  it('inodes', () => {
    const image = chain(1, 'd', 10);
    lowered.MAX_TREE_NODES = 260;
    expect(() => decodeImage(image)).toThrow(/^more than 260 inodes/);
  });

  it('xattrs of all inodes', () => {
    const lines = Array.from({ length: 9 }, (_, index) => `/${index} 0 100644 1 0 0 0 0.0 - - - user.a=b user.c=d\n`);
    const image = encodeImage(parseDump(Buffer.from(`/ 0 40755 2 0 0 0 0.0 - - -\n${lines.join('')}`)));
    decodeImage(image);
    // The root's mark is one more.
    lowered.MAX_TREE_XATTRS = 18;
    expect(() => decodeImage(image)).toThrow(/^more than 18 xattrs/);
  });

  it('long paths to many files', () => {
    const image = chain(50, 'n'.repeat(200), 500);
    decodeImage(image);
    lowered.MAX_EXPANSION_BASE_BYTES = 1000;
    lowered.MAX_EXPANSION_FACTOR = 8;
    expect(() => decodeImage(image)).toThrow(/^paths and xattrs that come to far more than the image/);
  });

  it('bytes of an image', () => {
    const image = chain(1, 'd', 0);
    lowered.MAX_IMAGE_BYTES = image.length - 1;
    expect(() => decodeImage(image)).toThrow(/^an image of more than/);
  });

  it('bytes of xattrs of one inode', () => {
    const dump = '/ 0 40755 2 0 0 0 0.0 - - - user.a=12345\n';
    const image = encodeImage(parseDump(Buffer.from(dump)));
    decodeImage(image);
    lowered.MAX_STORED_XATTR_BYTES = 20;
    expect(() => decodeImage(image)).toThrow(/^the xattrs of an inode are too large/);
  });
});
