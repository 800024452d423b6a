import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { asDigest, objectName } from '../../src/core/digest.ts';
import { compressFrame } from '../../src/delta/codecs/zstd-frame.ts';
import { readTreeForm } from '../../src/delta/tree-form/read-tree.ts';
import { type TreeForm, writeTreeForm } from '../../src/delta/tree-form/write-tree.ts';
import { decodeImage } from '../../src/image/read.ts';
import { encodeImage } from '../../src/image/write.ts';
import type { FileNode, Tree } from '../../src/tree/tree.ts';
import { noise } from '../helpers/pools.ts';
import { randomTree } from '../helpers/random-tree.ts';
import { common, directory } from '../helpers/trees.ts';

const SCALE = Number(process.env.OSUPD_TEST_SCALE ?? 1);

/** The tree of an image is what both sides have; what an image cannot hold is not asked for. */
const imageTree = randomTree()
  .map(imageOf)
  .filter((image) => image !== undefined)
  .map((image) => decodeImage(image));

function imageOf(tree: Tree): Buffer | undefined {
  try {
    return encodeImage(tree);
  } catch {
    return undefined;
  }
}

function expectRoundTrip(tree: Tree, base?: Tree): void {
  const image = encodeImage(tree);
  const form = writeTreeForm(tree, base);
  expect(encodeImage(readTreeForm(form, base)).equals(image)).toBe(true);
}

describe('the form of a tree', () => {
  it('gives the tree back, against any other tree and against none', () => {
    fc.assert(
      fc.property(imageTree, imageTree, (tree, base) => {
        expectRoundTrip(tree);
        expectRoundTrip(tree, base);
      }),
      { numRuns: 150 * SCALE },
    );
  });

  it('against an equal tree is as small as can be, and has no digest', () => {
    fc.assert(
      fc.property(imageTree, (tree) => {
        const { columns, digests } = writeTreeForm(tree, decodeImage(encodeImage(tree)));
        expect(digests).toHaveLength(0);
        // The number of entries, one run, and the lengths of the columns.
        expect(columns.length).toBeLessThanOrEqual(32);
        expectRoundTrip(tree, tree);
      }),
      { numRuns: 50 * SCALE },
    );
  });

  it('is the same for equal trees', () => {
    fc.assert(
      fc.property(imageTree, imageTree, (tree, base) => {
        const again = writeTreeForm(decodeImage(encodeImage(tree)), base);
        expect(Buffer.from(again.columns).equals(writeTreeForm(tree, base).columns)).toBe(true);
      }),
      { numRuns: 30 * SCALE },
    );
  });
});

/** Forty directories of fifty files. */
function manyFiles(change: (file: FileNode, number: number) => void = () => {}): Tree {
  const root = directory({}, { nlink: 42 });
  for (let number = 0; number < 2000; number++) {
    const parent = `directory-${Math.floor(number / 50)}`;
    let at = root.children.get(parent);
    if (at?.type !== 'directory') {
      at = directory({}, { nlink: 2 });
      root.children.set(parent, at);
    }
    const file: FileNode = { type: 'file', ...common(0o644), size: 1000 + number };
    file.digest = asDigest(noise(32, number).toString('hex'));
    change(file, number);
    file.payload = objectName(file.digest);
    at.children.set(`file-${number}`, file);
  }
  return decodeImage(encodeImage({ root }));
}

/** Bytes of a form as it is in a delta: compressed columns, and digests. */
function stored({ columns, digests }: TreeForm): number {
  return compressFrame(columns, { level: 19, windowLog: 20 }).length + digests.length;
}

describe('a tree of 2000 files', () => {
  const before = manyFiles();
  const unchanged = stored(writeTreeForm(before, before));

  it('costs a few bytes where nothing changed', () => {
    expect(unchanged).toBeLessThan(60);
  });

  it('costs some 60 bytes more for one file with new content and time: 32 of them are its digest', () => {
    const after = manyFiles((file, number) => {
      if (number !== 777) return;
      file.digest = asDigest('12'.repeat(32));
      file.size += 100;
      file.mtime = { seconds: 1_700_000_000n, nanoseconds: 5 };
    });
    const form = writeTreeForm(after, before);
    expect(form.digests).toHaveLength(32);
    // 59 with zstd 1.5.7, before the old tree's columns help.
    expect(stored(form) - unchanged).toBeLessThan(80);
    expectRoundTrip(after, before);
  });

  it('costs less than a byte for each file where all have a new time', () => {
    const after = manyFiles((file) => {
      file.mtime = { seconds: 1_700_000_000n, nanoseconds: 0 };
    });
    expect(stored(writeTreeForm(after, before)) - unchanged).toBeLessThan(200);
    expectRoundTrip(after, before);
  });

  it('costs its digests and little more where it comes from nothing', () => {
    const form = writeTreeForm(before);
    expect(form.digests).toHaveLength(2000 * 32);
    expect(stored(form) - form.digests.length).toBeLessThan(2000 * 3);
  });
});
