import { afterEach, describe, expect, it } from 'vitest';
import { WorkerPool, workerModule } from '../../src/core/workers.ts';

type Job = { readonly kind: 'double' | 'fail' | 'die' | 'sleep'; readonly value: number };

const pools: WorkerPool<Job, number>[] = [];
const makePool = (size: number) => {
  const pool = new WorkerPool<Job, number>(workerModule(import.meta.url, './fixtures/double-worker'), { size });
  pools.push(pool);
  return pool;
};
afterEach(() => Promise.all(pools.splice(0).map((pool) => pool.close())));

describe('a worker pool', () => {
  it('answers every job with its own result, on any number of threads', async () => {
    for (const size of [1, 3]) {
      const pool = makePool(size);
      const results = await Promise.all(Array.from({ length: 100 }, (_, value) => pool.run({ kind: 'double', value })));
      expect(results).toEqual(Array.from({ length: 100 }, (_, value) => value * 2));
    }
  });

  it('passes errors on as they were thrown, and goes on', async () => {
    const pool = makePool(1);
    await expect(pool.run({ kind: 'fail', value: 3 })).rejects.toMatchObject({
      code: 'invalid-tree',
      message: 'three is too many',
      where: '/x',
      remedy: 'take two',
      facts: { value: 3 },
    });
    expect(await pool.run({ kind: 'double', value: 4 })).toBe(8);
  });

  it('rejects the job of a thread that dies, and runs the next on a new one', async () => {
    const pool = makePool(1);
    const died = pool.run({ kind: 'die', value: 0 });
    const next = pool.run({ kind: 'double', value: 5 });
    await expect(died).rejects.toMatchObject({ code: 'internal' });
    expect(await next).toBe(10);
  });

  it('rejects what has not finished when it is closed', async () => {
    const pool = makePool(1);
    const running = pool.run({ kind: 'sleep', value: 60_000 });
    const waiting = pool.run({ kind: 'double', value: 1 });
    const both = Promise.allSettled([running, waiting]);
    await pool.close();
    expect(await both).toMatchObject([{ reason: { code: 'interrupted' } }, { reason: { code: 'interrupted' } }]);
    await expect(pool.run({ kind: 'double', value: 1 })).rejects.toMatchObject({ code: 'internal' });
  });
});
