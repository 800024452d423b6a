import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
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
    const old = noise(20_000, 4);
    const parts = Array.from({ length: 60 }, (_, part) => [
      noise(9, 100 + part),
      old.subarray(part * 300 + 7, part * 300 + 31),
    ]);
    const next = Buffer.concat(parts.flat());
    const literal = (effort: number) => expectCopies(findCopies(old, next, { effort }), old, next).literal;
    expect(literal(1)).toBe(next.length);
    expect(literal(6)).toBeLessThan(60 * 11);
  });

  it('are none for files that share nothing', () => {
    const next = noise(50_000, 6);
    const copies = findCopies(noise(50_000, 5), next, { effort: 6 });
    expect(copies.count).toBe(0);
  });
});
