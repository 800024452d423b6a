import { describe, expect, it } from 'vitest';
import { OsupdError } from '../../../src/core/errors.ts';
import { untilAtRest } from '../../../src/deploy/etc/until-at-rest.ts';

const changed = () => new OsupdError('changed-while-read', 'it changed');

describe('reading what is in use', () => {
  it('is done again while something changes, five times at most', async () => {
    let times = 0;
    const read = (failures: number) => async () => {
      times++;
      if (times <= failures) throw changed();
      return times;
    };
    expect(await untilAtRest(read(4))).toBe(5);
    times = 0;
    await expect(untilAtRest(read(5))).rejects.toMatchObject({ code: 'changed-while-read' });
    expect(times).toBe(5);
  });

  it('ends with every other error', async () => {
    let times = 0;
    const read = async () => {
      times++;
      throw new OsupdError('no-space', 'full');
    };
    await expect(untilAtRest(read)).rejects.toMatchObject({ code: 'no-space' });
    expect(times).toBe(1);
  });
});
