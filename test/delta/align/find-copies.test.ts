import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { findBlocks } from '../../../src/delta/align/blocks.ts';
import { type Copies, findCopies } from '../../../src/delta/align/find-copies.ts';
import { noise } from '../../helpers/pools.ts';
import { editedPairs, REGULAR } from './inputs.ts';

const SCALE = Number(process.env.OSUPD_TEST_SCALE ?? 1);
const EFFORTS = [1, 6, 9];

/** Checks that copies are within both files and in order. Gives how many bytes are literal and how many differ. */
function expectCopies(copies: Copies, old: Uint8Array, next: Uint8Array): { literal: number; different: number } {
  const { count, newAt, oldAt, lengths } = copies;
  expect([newAt.length, oldAt.length, lengths.length]).toEqual([count, count, count]);
  let literal = 0;
  let different = 0;
  let at = 0;
  for (let index = 0; index < count; index++) {
    expect(lengths[index]).toBeGreaterThan(0);
    expect(newAt[index]).toBeGreaterThanOrEqual(at);
    literal += newAt[index]! - at;
    at = newAt[index]! + lengths[index]!;
    expect(at).toBeLessThanOrEqual(next.length);
    expect(oldAt[index]! + lengths[index]!).toBeLessThanOrEqual(old.length);
    for (let offset = 0; offset < lengths[index]!; offset++) {
      if (old[oldAt[index]! + offset] !== next[newAt[index]! + offset]) different++;
    }
  }
  return { literal: literal + next.length - at, different };
}

describe('copies', () => {
  for (const effort of EFFORTS) {
    it(`are within both files at effort ${effort}, for regular ones`, () => {
      for (const old of Object.values(REGULAR)) {
        for (const next of Object.values(REGULAR)) expectCopies(findCopies(old, next, { effort }), old, next);
      }
    });

    it(`are within both files at effort ${effort}, for any pair`, () => {
      fc.assert(
        fc.property(editedPairs(), ([old, next]) => {
          expectCopies(findCopies(old, next, { effort }), old, next);
        }),
        { numRuns: 300 * SCALE },
      );
    });

    it(`take all of an equal file at effort ${effort}`, () => {
      const bytes = noise(50_000, 1);
      expect(findCopies(bytes, bytes, { effort })).toMatchObject({
        count: 1,
        newAt: Uint32Array.of(0),
        oldAt: Uint32Array.of(0),
        lengths: Uint32Array.of(50_000),
      });
    });
  }

  it('go on over scattered differences, and find parts that changed places', () => {
    const old = Uint8Array.from(noise(60_000, 2));
    const changed = Uint8Array.from(old, (byte, at) => (at % 100 === 99 ? byte ^ 5 : byte));
    const next = Buffer.concat([changed.subarray(30_000), noise(200, 3), changed.subarray(0, 30_000)]);
    const copies = findCopies(old, next, { effort: 6 });
    expect(copies.count).toBe(2);
    const { literal, different } = expectCopies(copies, old, next);
    expect(literal).toBeLessThanOrEqual(202);
    expect(different).toBeLessThanOrEqual(600);
  });

  it('find parts too short for hashing where the suffix array is used', () => {
    const old = letters(20_000, 4);
    const parts = Array.from({ length: 60 }, (_, part) => [
      letters(9, 100 + part),
      old.subarray(part * 300 + 7, part * 300 + 31),
    ]);
    const next = Buffer.concat(parts.flat());
    const literal = (effort: number) => expectCopies(findCopies(old, next, { effort }), old, next).literal;
    expect(literal(1)).toBe(next.length);
    expect(literal(6)).toBeLessThan(60 * 12);
  });

  it('are none for files that share nothing', () => {
    const next = noise(50_000, 6);
    const copies = findCopies(noise(50_000, 5), next, { effort: 6 });
    expect(copies.count).toBe(0);
  });

  it('are long blocks alone in compressed files', () => {
    const old = noise(100_000, 7);
    const next = Buffer.concat([noise(5000, 8), old.subarray(40_000, 70_000), noise(50, 9), old.subarray(10, 34)]);
    expect(findCopies(old, next, { effort: 6 })).toMatchObject({
      newAt: Uint32Array.of(5000),
      oldAt: Uint32Array.of(40_000),
      lengths: Uint32Array.of(30_000),
    });
  });

  it('are found part by part in old files above the limit', () => {
    const old = letters(200_000, 10);
    const parts = Array.from({ length: 500 }, (_, part) => [
      letters(6, 1000 + part),
      old.subarray(part * 390, part * 390 + 26),
      old.subarray(part * 390 + 30, part * 390 + 360),
    ]);
    const next = Buffer.concat(parts.flat());
    const whole = expectCopies(findCopies(old, next, { effort: 6 }), old, next);
    const inParts = expectCopies(findCopies(old, next, { effort: 6, searchBytes: 30_000 }), old, next);
    expect(inParts.literal).toBeLessThan(1.1 * whole.literal);
    for (const searchBytes of [0, 1, 2, 7, 100]) {
      expectCopies(findCopies(old, next.subarray(0, 3000), { effort: 6, searchBytes }), old, next.subarray(0, 3000));
    }
  });

  it('are within both files whatever the limit is', () => {
    fc.assert(
      fc.property(editedPairs(), fc.integer({ min: 2, max: 500 }), ([old, next], searchBytes) => {
        expectCopies(findCopies(old, next, { effort: 6, searchBytes }), old, next);
      }),
      { numRuns: 200 * SCALE },
    );
  });
});

describe('blocks', () => {
  it('are found with windows that are far apart', () => {
    const old = noise(100_000, 11);
    const next = Buffer.concat([noise(300, 12), old.subarray(50_000), old.subarray(1000, 40_000)]);
    const { oldAt, newAt, lengths } = findBlocks(old, next, 100);
    expect(Array.from(newAt)).toEqual([300, 50_300]);
    expect(Array.from(oldAt)).toEqual([50_000, 1000]);
    expect(Array.from(lengths)).toEqual([50_000, 39_000]);
  });
});

/** Noise of few values, so that it is not taken for compressed. */
function letters(size: number, seed: number): Uint8Array {
  return Uint8Array.from(noise(size, seed), (byte) => byte & 63);
}
