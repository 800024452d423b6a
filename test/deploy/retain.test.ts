import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { outdatedDeployments, type RetentionFacts } from '../../src/deploy/retain.ts';

const nobody: ReadonlySet<string> = new Set();

function outdated(facts: Partial<RetentionFacts>): string[] {
  return outdatedDeployments({ ids: [], links: {}, pinned: nobody, inUse: nobody, keep: 1, ...facts });
}

describe('retention', () => {
  it('keeps current, next and rollback, and removes the rest', () => {
    const links = { current: '3-c', next: '4-d', rollback: '2-b' };
    expect(outdated({ ids: ['1-a', '2-b', '3-c', '4-d'], links })).toEqual(['1-a']);
  });

  it('keeps as many old deployments as configured, the rollback counted and the newest first', () => {
    const ids = ['1-a', '2-b', '3-c', '4-d', '5-e'];
    expect(outdated({ ids, links: { current: '5-e', rollback: '2-b' }, keep: 3 })).toEqual(['1-a']);
    expect(outdated({ ids, links: { current: '5-e', rollback: '2-b' }, keep: 2 })).toEqual(['1-a', '3-c']);
    expect(outdated({ ids, links: { current: '5-e' }, keep: 2 })).toEqual(['1-a', '2-b']);
  });

  it('keeps what is pinned or in use beyond that number', () => {
    const ids = ['1-a', '2-b', '3-c', '4-d'];
    const facts = { ids, links: { current: '4-d', rollback: '3-c' } };
    expect(outdated({ ...facts, pinned: new Set(['1-a']), inUse: new Set(['2-b']) })).toEqual([]);
  });

  it('never removes what a link names, a pin or a use, whatever the state', () => {
    const id = fc.integer({ min: 1, max: 12 }).map((serial) => `${serial}-x`);
    const maybe = fc.option(id, { nil: undefined });
    fc.assert(
      fc.property(
        fc.uniqueArray(id),
        fc.tuple(maybe, maybe, maybe),
        fc.array(id),
        fc.array(id),
        fc.integer({ min: 1, max: 5 }),
        (ids, [current, next, rollback], pinned, inUse, keep) => {
          const links = Object.fromEntries(
            Object.entries({ current, next, rollback }).filter(([, value]) => value !== undefined),
          );
          const gone = outdated({ ids, links, pinned: new Set(pinned), inUse: new Set(inUse), keep });
          for (const each of gone) expect([current, next, rollback, ...pinned, ...inUse]).not.toContain(each);
          expect(new Set(gone).size).toBe(gone.length);
          expect(ids).toEqual(expect.arrayContaining(gone));
        },
      ),
    );
  });
});
