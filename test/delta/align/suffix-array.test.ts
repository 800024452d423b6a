import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { suffixArray } from '../../../src/delta/align/suffix-array.ts';
import { noise } from '../../helpers/pools.ts';
import { byteStrings, REGULAR } from './inputs.ts';

const SCALE = Number(process.env.OSUPD_TEST_SCALE ?? 1);

function naive(bytes: Uint8Array): number[] {
  const buffer = Buffer.from(bytes);
  return Array.from(bytes.keys()).sort((a, b) => Buffer.compare(buffer.subarray(a), buffer.subarray(b)));
}

/** Checks order and completeness in linear time, by the ranks of the suffixes one byte shorter. */
function isSuffixArray(sorted: Int32Array, bytes: Uint8Array): boolean {
  const rank = new Int32Array(bytes.length + 1).fill(-2);
  rank[bytes.length] = -1;
  for (const [place, at] of sorted.entries()) {
    if (at < 0 || at >= bytes.length || rank[at] !== -2) return false;
    rank[at] = place;
  }
  for (let place = 1; place < sorted.length; place++) {
    const a = sorted[place - 1]!;
    const b = sorted[place]!;
    if (bytes[a]! > bytes[b]! || (bytes[a] === bytes[b] && rank[a + 1]! > rank[b + 1]!)) return false;
  }
  return sorted.length === bytes.length;
}

describe('the suffix array', () => {
  for (const [name, bytes] of Object.entries(REGULAR)) {
    it(`sorts the suffixes of a string that is ${name}`, () => {
      expect(Array.from(suffixArray(bytes))).toEqual(naive(bytes));
    });
  }

  it('sorts the suffixes of any string', () => {
    fc.assert(
      fc.property(byteStrings(), (bytes) => {
        expect(Array.from(suffixArray(bytes))).toEqual(naive(bytes));
      }),
      { numRuns: 500 * SCALE },
    );
  });

  it('sorts long strings, whatever was sorted before', () => {
    const random = noise(300_000, 5);
    const letters = random.map((byte) => byte & 1);
    const twice = Buffer.concat([random, random]);
    for (const bytes of [random, letters, twice, REGULAR['all zero']!, letters.subarray(0, 70_000)]) {
      expect(isSuffixArray(suffixArray(bytes), bytes)).toBe(true);
    }
  });
});
