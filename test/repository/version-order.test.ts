import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareVersions } from '../../src/repository/version-order.ts';
import { itWith } from '../helpers/requirements.ts';

describe('the order of versions', () => {
  it.each([
    ['1', '2'],
    ['1.9', '1.10'],
    ['2~rc1', '2'],
    ['2~rc1', '2~rc2'],
    ['1.0', '1.0a'],
    ['1.0a', '1.0+1'],
    ['20301231', '20310101'],
    ['9007199254740993', '9007199254740994'],
    ['1.2', '1.2.1'],
  ])('%s comes before %s', (a, b) => {
    expect(compareVersions(a, b)).toBeLessThan(0);
    expect(compareVersions(b, a)).toBeGreaterThan(0);
    expect(compareVersions(a, a)).toBe(0);
  });

  const version = fc.string({
    unit: fc.constantFrom('0', '1', '9', '.', '~', '+', 'a', 'Z'),
    minLength: 1,
    maxLength: 8,
  });

  it('is an order', () => {
    fc.assert(
      fc.property(version, version, version, (a, b, c) => {
        expect(Math.sign(compareVersions(a, b)) + Math.sign(compareVersions(b, a))).toBe(0);
        if (compareVersions(a, b) <= 0 && compareVersions(b, c) <= 0)
          expect(compareVersions(a, c)).toBeLessThanOrEqual(0);
      }),
    );
  });

  itWith(['dpkg'], 'is that of dpkg', () => {
    const pairs = fc.sample(fc.tuple(version, version), 60).map(([a, b]) => [`0${a}`, `0${b}`] as const);
    for (const [a, b] of pairs) {
      const order = compareVersions(a, b);
      const relation = order < 0 ? 'lt' : order > 0 ? 'gt' : 'eq';
      expect(() => execFileSync('dpkg', ['--compare-versions', a, relation, b]), `${a} ${relation} ${b}`).not.toThrow();
    }
  });
});
