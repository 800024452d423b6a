import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Digest } from '../../src/core/digest.ts';
import { findRoutes } from '../../src/pull/routes.ts';
import type { DeltaEntry } from '../../src/repository/delta-index.ts';

const image = (name: string | number) => String(name).padStart(64, '0') as Digest;

function delta(from: readonly (string | number)[], to: string | number, size: number): DeltaEntry {
  const file = `deltas/${from.join('+')}-${to}-${size}.osd`;
  return { from: from.map(image), to: [image(to)], file, size, head: { size: 1, sha256: 'a'.repeat(64) } };
}

/** What {@link findRoutes} finds, as readable text: `1-2 2-3`. */
async function routes(deltas: readonly DeltaEntry[], there: readonly (string | number)[], wanted: string | number) {
  const present = new Set(there.map(image));
  const asked: Digest[] = [];
  const found = await findRoutes(
    image(wanted),
    (digest) => present.has(digest),
    async (digest) => {
      asked.push(digest);
      return deltas.filter((each) => each.to.includes(digest));
    },
    (each) => !each.file.includes('bad'),
  );
  const short = (each: DeltaEntry) => `${each.from.map(Number).join('+') || 'none'}-${Number(each.to[0])}`;
  return { found: found.map((route) => route.map(short).join(' ')), asked: asked.map(Number) };
}

describe('routes', () => {
  it('are single deltas, full deltas and chains, the smallest sum first', async () => {
    const deltas = [delta([1], 2, 40), delta([2], 3, 50), delta([1], 3, 101), delta([], 3, 1000), delta([], 1, 900)];
    expect((await routes(deltas, [1], 3)).found).toEqual(['1-2 2-3', '1-3', 'none-3']);
    expect((await routes(deltas, [2], 3)).found[0]).toBe('2-3');
    expect((await routes(deltas, [], 3)).found).toEqual(['none-1 1-2 2-3', 'none-3', 'none-1 1-3']);
  });

  it('begin with all images that a delta needs', async () => {
    const deltas = [delta([1, 7], 2, 10), delta([1], 2, 20)];
    expect((await routes(deltas, [1, 7], 2)).found).toEqual(['1+7-2', '1-2']);
    expect((await routes(deltas, [1], 2)).found).toEqual(['1-2']);
  });

  it('go through at most one image that is not there', async () => {
    const deltas = [delta([5, 6], 9, 10), delta([1], 5, 10), delta([1], 6, 10)];
    expect((await routes(deltas, [1], 9)).found).toEqual([]);
    expect((await routes(deltas, [1, 6], 9)).found).toEqual(['1-5 5+6-9']);
  });

  it('never go in a circle and never through a bad delta', async () => {
    const bad = { ...delta([1], 3, 1), file: 'deltas/bad.osd' };
    const deltas = [delta([3], 2, 1), delta([2], 3, 1), delta([1], 2, 1), bad];
    expect((await routes(deltas, [1], 3)).found).toEqual(['1-2 2-3']);
    expect((await routes([delta([3], 2, 1), delta([2], 3, 1)], [1], 3)).found).toEqual([]);
  });

  it('do not look at indexes that cannot lead to anything better', async () => {
    const deltas = [delta([1], 9, 10), delta([2], 9, 11), delta([3], 9, 500), delta([4], 9, 501)];
    expect((await routes(deltas, [1], 9)).asked).toEqual([9, 2]);
  });

  it('are the cheapest there are, in any graph', async () => {
    const edge = fc.record({ from: fc.nat(6), to: fc.nat(6), size: fc.integer({ min: 1, max: 100 }) });
    await fc.assert(
      fc.asyncProperty(fc.array(edge, { maxLength: 20 }), async (edges) => {
        const deltas = edges.map(({ from, to, size }) => delta(from === 0 ? [] : [from], to, size));
        const { found } = await routes(deltas, [1], 6);
        expect(found.length > 0).toBe(shortest(edges, 1, 6) < Number.POSITIVE_INFINITY);
        if (found.length === 0) return;
        const sizes = found[0]!.split(' ').map((step) => {
          const [from, to] = step.replace('none', '0').split('-').map(Number);
          return Math.min(...edges.filter((each) => each.from === from && each.to === to).map(({ size }) => size));
        });
        expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(shortest(edges, 1, 6));
      }),
      { numRuns: 300 },
    );
  });
});

/** Bellman and Ford: the least sum from nothing (0) or an image that is there to the wanted one. */
function shortest(edges: { from: number; to: number; size: number }[], there: number, wanted: number): number {
  const least = Array.from({ length: 7 }, (_, at) => (at === 0 || at === there ? 0 : Number.POSITIVE_INFINITY));
  for (let round = 0; round < 7; round++) {
    for (const { from, to, size } of edges) {
      if (to !== there && to !== 0) least[to] = Math.min(least[to]!, least[from]! + size);
    }
  }
  return least[wanted]!;
}
