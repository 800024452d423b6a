import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type CoarseMap,
  coarseMapOf,
  encodeCoarseMap,
  mapOffset,
  parseCoarseMap,
} from '../../../src/delta/align/coarse-map.ts';
import { findCoarseMap } from '../../../src/delta/align/find-coarse-map.ts';
import { mutate, randomNumbers } from '../../helpers/mutate.ts';
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

  it('moves offsets by the range before them', () => {
    expect([0, 99, 100, 199, 200, 499, 500, 5000].map((offset) => mapOffset(map, offset))).toEqual([
      0, 99, 110, 209, 300, 599, 550, 5050,
    ]);
  });

  it('is the same after it was stored', () => {
    expect(parseCoarseMap(encodeCoarseMap(map), 1000, 900)).toEqual(map);
    expect(Buffer.from(encodeCoarseMap(map)).toString('hex')).toBe('0364' + '64' + 'ac02' + '14' + 'b401' + '63');
  });

  it('is refused where it leaves a file, does not rise, is cut off or goes on', () => {
    const stored = encodeCoarseMap(map);
    const bad: [Uint8Array, number, number][] = [
      [stored, 500, 900],
      [stored, 1000, 550],
      [stored.subarray(0, -1), 1000, 900],
      [Buffer.concat([stored, Buffer.of(0)]), 1000, 900],
      [new Uint8Array(0), 1000, 900],
      [Uint8Array.of(2, 5, 0, 0, 0), 1000, 900],
      [Uint8Array.of(2, 5, 5, 0, 9), 1000, 900],
      [Uint8Array.of(1, 5, 11), 1000, 900],
      [Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x0f, 1, 1), 1000, 900],
    ];
    for (const [bytes, oldSize, newSize] of bad) {
      expect(() => parseCoarseMap(bytes, oldSize, newSize)).toThrow(expect.objectContaining({ code: 'damaged-delta' }));
    }
  });

  it('is a chain, or refused, whatever is stored', () => {
    const random = randomNumbers(3);
    const stored = encodeCoarseMap(map);
    for (let round = 0; round < 3000 * SCALE; round++) {
      try {
        expectChain(parseCoarseMap(mutate(stored, random), 1000, 900), 1000, 900);
      } catch (error) {
        expect(error).toMatchObject({ name: 'OsupdError', code: 'damaged-delta' });
      }
    }
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
    expect(mapOffset({ oldAt, newAt, lengths: oldAt }, 15_000)).toBe(15_077);
    expect(mapOffset({ oldAt, newAt, lengths: oldAt }, 30_000)).toBe(29_077);
  });

  it('gives nothing for files that share nothing, and for equal ones', () => {
    const old = noise(100_000, 3);
    expect(findCoarseMap(old, noise(100_000, 4)).oldAt.length).toBe(0);
    expect(findCoarseMap(old, old).oldAt.length).toBe(0);
  });

  it('finds a chain that can be stored, in any pair of files', () => {
    const check = (old: Uint8Array, next: Uint8Array) => {
      const map = findCoarseMap(old, next);
      expectChain(map, old.length, next.length);
      expect(parseCoarseMap(encodeCoarseMap(map), old.length, next.length)).toEqual(map);
    };
    for (const old of Object.values(REGULAR)) for (const next of Object.values(REGULAR)) check(old, next);
    fc.assert(
      fc.property(editedPairs(), ([old, next]) => check(old, next)),
      { numRuns: 300 * SCALE },
    );
  });
});
