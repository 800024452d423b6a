import { describe, expect, it } from 'vitest';
import { Turns } from '../../src/delta/turns.ts';

/** Takes turns and notes who has begun. */
function begin(turns: Turns, works: Record<string, readonly [memory: number, length: number]>) {
  const begun: string[] = [];
  const ends = new Map<string, () => void>();
  for (const [name, [memory, length]] of Object.entries(works))
    void turns.take({ memory, length }).then((end) => {
      begun.push(name);
      ends.set(name, end);
    });
  return {
    /** What has begun since the last call. */
    async news(): Promise<string[]> {
      await new Promise(setImmediate);
      return begun.splice(0);
    },
    end: (name: string) => ends.get(name)?.(),
  };
}

describe('turns', () => {
  it('begin the longest work first, as much as there are slots', async () => {
    const run = begin(new Turns(2, 100), { first: [1, 1], short: [1, 2], long: [1, 9], middle: [1, 5] });
    expect(await run.news()).toEqual(['first', 'short']);
    run.end('short');
    expect(await run.news()).toEqual(['long']);
    run.end('first');
    run.end('long');
    expect(await run.news()).toEqual(['middle']);
  });

  it('pass over what does not fit into the memory, and begin it when it does', async () => {
    const run = begin(new Turns(3, 100), { first: [60, 1], large: [50, 9], small: [40, 5] });
    expect(await run.news()).toEqual(['first', 'small']);
    run.end('first');
    expect(await run.news()).toEqual(['large']);
  });

  it('give what needs more than all memory a turn alone', async () => {
    const run = begin(new Turns(2, 100), { first: [1, 1], huge: [500, 9], last: [1, 5] });
    expect(await run.news()).toEqual(['first', 'last']);
    run.end('first');
    expect(await run.news()).toEqual([]);
    run.end('last');
    expect(await run.news()).toEqual(['huge']);
  });

  it('do not pass over the same work for ever', async () => {
    const small = Object.fromEntries(
      Array.from({ length: 9 }, (_, index) => [`s${index}`, [10, 5 - index / 10] as const]),
    );
    const run = begin(new Turns(2, 100), { first: [50, 1], large: [80, 9], ...small });
    expect(await run.news()).toEqual(['first', 's0']);
    for (const index of [0, 1, 2]) {
      run.end(`s${index}`);
      expect(await run.news()).toEqual([`s${index + 1}`]);
    }
    run.end('s3');
    expect(await run.news()).toEqual([]);
    run.end('first');
    expect(await run.news()).toEqual(['large', 's4']);
  });
});
