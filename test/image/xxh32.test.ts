import { describe, expect, it } from 'vitest';
import { xxh32 } from '../../src/image/xxh32.ts';

/** The bytes that xxHash's own sanity test hashes (tests/sanity_test.c), as a byte string. */
function sanityBuffer(length: number): string {
  const PRIME_32 = 2654435761n;
  const PRIME_64 = 11400714785074694797n;
  let generator = PRIME_32;
  let text = '';
  for (let index = 0; index < length; index++) {
    text += String.fromCharCode(Number(generator >> 56n));
    generator = BigInt.asUintN(64, generator * PRIME_64);
  }
  return text;
}

describe('xxh32', () => {
  // Values of xxHash's sanity test, seed 0 and seed PRIME32.
  it.each([
    [0, 0, 0x02cc5d05],
    [0, 0x9e3779b1, 0x36b78ae7],
    [1, 0, 0xcf65b03e],
    [1, 0x9e3779b1, 0xb4545aa4],
    [14, 0, 0x1208e7e2],
    [14, 0x9e3779b1, 0x6af1d1fe],
    [222, 0, 0x5bd11dbd],
    [222, 0x9e3779b1, 0x58803c5f],
  ])('hashes %i bytes with seed %i as xxHash does', (length, seed, hash) => {
    expect(xxh32(sanityBuffer(length), seed)).toBe(hash);
  });

  it('hashes text as its documentation says', () => {
    expect(xxh32('', 0)).toBe(0x02cc5d05);
    expect(xxh32('a', 0)).toBe(0x550d7456);
    expect(xxh32('abc', 0)).toBe(0x32d153ff);
    expect(xxh32('Nobody inspects the spammish repetition', 0)).toBe(0xe2293b2f);
  });
});
