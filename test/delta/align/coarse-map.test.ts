import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type CoarseMap, coarseMapOf } from '../../../src/delta/align/coarse-map.ts';
import { findCoarseMap } from '../../../src/delta/align/find-coarse-map.ts';
import { noise } from '../../helpers/pools.ts';
import { editedPairs, REGULAR } from './inputs.ts';

const SCALE = Number(process.env.OSUPD_TEST_SCALE ?? 1);

function expectChain({ oldAt, newAt, lengths }: CoarseMap, oldSize: number, newSize: number): void {
  for (let index = 0; index < oldAt.length; index++) {
    expect(lengths[index]).toBeGreaterThan(0);
    expect(oldAt[index]! + lengths[index]!).toBeLessThanOrEqual(oldAt[index + 1] ?? oldSize);
    expect(newAt[index]! + lengths[index]!).toBeLessThanOrEqual(newAt[index + 1] ?? newSize);
  }
}

describe('a coarse map', () => {
  const map = coarseMapOf(Uint32Array.of(100, 200, 500), Uint32Array.of(110, 300, 550), 1000, 900);

  it('gives each range what room there is until the next one', () => {
    expect(Array.from(map.lengths)).toEqual([100, 250, 350]);
  });
});

describe('finding a coarse map', () => {
  it('finds where parts moved, through scattered differences', () => {
    const old = Uint8Array.from(noise(40_000, 1));
    const changed = Uint8Array.from(old, (byte, at) => (at % 70 === 0 ? byte ^ 1 : byte));
    const next = Buffer.concat([
      changed.subarray(0, 10_000),
      noise(77, 2),
      changed.subarray(10_000, 20_000),
      changed.subarray(21_000),
    ]);
    const { oldAt, newAt } = findCoarseMap(old, next);
    const shifts = Array.from(oldAt, (at, index) => newAt[index]! - at);
    expect(shifts).toEqual([77, -923]);
    expect([15_000, 30_000].map((offset) => oldAt.findLastIndex((at) => at <= offset))).toEqual([0, 1]);
  });

  it('gives nothing for files that share nothing, and for equal ones', () => {
    const old = noise(100_000, 3);
    expect(findCoarseMap(old, noise(100_000, 4)).oldAt.length).toBe(0);
    expect(findCoarseMap(old, old).oldAt.length).toBe(0);
  });

  it('finds a chain in any pair of files', () => {
    const check = (old: Uint8Array, next: Uint8Array) => {
      const map = findCoarseMap(old, next);
      expectChain(map, old.length, next.length);
      expect(coarseMapOf(map.oldAt, map.newAt, old.length, next.length)).toEqual(map);
    };
    for (const old of Object.values(REGULAR)) for (const next of Object.values(REGULAR)) check(old, next);
    fc.assert(
      fc.property(editedPairs(), ([old, next]) => check(old, next)),
      { numRuns: 300 * SCALE },
    );
  });
});
