import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { asDigest } from '../../src/core/digest.ts';
import { contentSize, groupObjects, type PlannedObject } from '../../src/delta/groups.ts';
import type { Kind } from '../../src/delta/kinds.ts';
import { totalSize } from '../../src/delta/total-size.ts';

const MIB = 1 << 20;

function digest(number: number) {
  return asDigest(number.toString(16).padStart(64, '0'));
}

function object(number: number, size: number, rest: Partial<PlannedObject> = {}): PlannedObject {
  const bases = [{ digest: digest(1_000_000 + number), size }];
  return {
    digest: digest(number),
    size,
    number,
    path: `/a/${number}`,
    kind: 'module',
    waits: 0,
    bases,
    contained: [],
    ...rest,
  };
}

function sizesOf(objects: readonly PlannedObject[]): number[] {
  return groupObjects(objects).map(contentSize);
}

describe('groups', () => {
  it('of modules are of equal size, up to 16 MiB each, the small members first', () => {
    const modules = Array.from({ length: 500 }, (_, number) => object(number, 20_000 + ((number * 7919) % 160_000)));
    const groups = groupObjects(modules);
    expect(groups).toHaveLength(Math.ceil(totalSize(modules) / (16 * MIB)));
    const sizes = groups.map(contentSize);
    expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThan(500_000);
    for (const { members } of groups) {
      const own = members.map((member) => member.object.size);
      expect(own).toEqual(own.toSorted((a, b) => a - b));
    }
  });

  it('keep large objects apart', () => {
    const program = (number: number, size: number) => object(number, size, { kind: 'program' });
    expect(sizesOf([program(0, 100), program(1, 3 * MIB), program(2, 200)])).toEqual([300, 3 * MIB]);
    expect(sizesOf([object(0, 20 * MIB), object(1, 5)])).toEqual([20 * MIB, 5]);
  });

  it('hold objects of one kind and extension', () => {
    const named = (number: number, path: string, kind: Kind) => object(number, 1000, { path, kind });
    const groups = groupObjects([
      named(0, '/a.py', 'other'),
      named(1, '/b.so', 'library'),
      named(2, '/c.py', 'other'),
      named(3, '/d.gz', 'compressed'),
      named(4, '/e.h', 'other'),
    ]);
    expect(groups.map(({ members }) => members.map((member) => member.object.number))).toEqual([[0, 2], [1], [3], [4]]);
  });

  it('come behind those that hold their bases', () => {
    const first = object(5, 1000, { bases: [] });
    const waiting = object(0, 1000, { bases: [first], waits: 1 });
    expect(groupObjects([waiting, first]).map(({ members }) => members[0]!.object.number)).toEqual([5, 0]);
  });

  it('name each base once, and for each member its own', () => {
    const [a, b] = [digest(70), digest(71)].map((name) => ({ digest: name, size: 10 })) as [never, never];
    const [group, ...others] = groupObjects(
      [object(0, 10, { bases: [a, b] }), object(1, 10, { bases: [] }), object(2, 10, { bases: [b] })].map((one) => ({
        ...one,
        kind: 'other' as const,
      })),
    );
    expect(others).toEqual([]);
    expect(group?.bases).toEqual([a, b]);
    expect(group?.members.map(({ bases }) => bases)).toEqual([[0, 1], [], [1]]);
  });

  it('hold every object once and stay within their limits, whatever the objects', () => {
    const kinds = fc.constantFrom<Kind>('module', 'program', 'library', 'other', 'compressed', 'kernel', 'initrd');
    const size = fc.oneof(fc.integer({ min: 1, max: 5000 }), fc.integer({ min: 1, max: 24 * MIB }));
    const shape = fc.record({
      kind: kinds,
      size,
      baseSizes: fc.array(size, { maxLength: 3 }),
      waits: fc.constantFrom<0 | 1 | 2>(0, 1, 2),
    });
    fc.assert(
      fc.property(fc.array(shape, { maxLength: 60 }), (shapes) => {
        const objects = shapes.map(({ kind, size, baseSizes, waits }, number) => {
          const bases = baseSizes.map((baseSize, index) => ({
            digest: digest(1000 + number * 4 + index),
            size: baseSize,
          }));
          return object(number, size, { kind, waits, bases });
        });
        const groups = groupObjects(objects);
        const numbers = groups.flatMap(({ members }) => members.map((member) => member.object.number));
        expect(numbers.toSorted((a, b) => a - b)).toEqual(objects.map(({ number }) => number));
        for (const group of groups) {
          if (group.members.length === 1) continue;
          expect(contentSize(group)).toBeLessThanOrEqual(16 * MIB);
          expect(totalSize(group.bases)).toBeLessThanOrEqual(32 * MIB);
        }
      }),
    );
  });
});
