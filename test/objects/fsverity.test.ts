import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FsverityHasher, fsverityDigest } from '../../src/objects/fsverity.ts';
import { nativeHashBlock, portableHashBlock } from '../../src/objects/sha256.ts';

interface Golden {
  readonly cases: readonly { readonly size: number; readonly sha256: string }[];
}
const golden = JSON.parse(readFileSync(new URL('../golden/fsverity.json', import.meta.url), 'utf8')) as Golden;

/** The content that the vectors were made from: byte i = (i*7 + (i>>8)*13 + (i>>16)*29) & 255. */
function goldenContent(size: number): Buffer {
  const bytes = Buffer.alloc(size);
  for (let i = 0; i < size; i++) bytes[i] = (i * 7 + (i >> 8) * 13 + (i >> 16) * 29) & 255;
  return bytes;
}

describe('fs-verity digest', () => {
  const largest = goldenContent(Math.max(...golden.cases.map(({ size }) => size)));

  it.each(golden.cases)('of $size bytes equals what fsverity-utils computed', ({ size, sha256 }) => {
    expect(fsverityDigest(largest.subarray(0, size))).toBe(sha256);
  });

  it.each([
    ['hello world', '1e2eaa4202d750a41174ee454970b92c1bc2f925b1e35076d8c7d5f56362ba64'],
    ['hello world\n', '37061ef2ac4c21bec68489b56138c5780306a4ad7fe6676236ecdf2c9027cd92'],
    ['foo bar baz\n', '91e7d88cb7bc9cf6d8db3b0ecf89af4abf204bef5b3ade5113d5b62ef374e70b'],
  ])('of %j is the one that the kernel measures', (text, digest) => {
    expect(fsverityDigest(Buffer.from(text))).toBe(digest);
  });

  it('does not depend on how the content is cut into chunks', () => {
    fc.assert(
      fc.property(
        fc.nat({ max: 3 * 128 * 4096 }),
        fc.array(fc.nat({ max: 3 * 128 * 4096 }), { maxLength: 12 }),
        (size, cuts) => {
          const content = largest.subarray(0, size);
          const hasher = new FsverityHasher();
          let at = 0;
          for (const cut of cuts.filter((cut) => cut < size).sort((a, b) => a - b)) {
            hasher.update(content.subarray(at, cut));
            at = cut;
          }
          hasher.update(content.subarray(at));
          expect(hasher.size).toBe(size);
          expect(hasher.digest()).toBe(fsverityDigest(content));
        },
      ),
      { numRuns: 50 },
    );
  });

  it('is the same with the portable SHA-256 as with that of node:crypto', async () => {
    const native = nativeHashBlock();
    expect(native).toBeDefined();
    const portable = await portableHashBlock();
    for (const { size, sha256 } of golden.cases.filter((item) => item.size <= 1_000_003)) {
      const hasher = new FsverityHasher(portable);
      hasher.update(largest.subarray(0, size));
      expect(hasher.digest()).toBe(sha256);
    }
  });
});
