import { describe, expect, it } from 'vitest';
import { collect } from '../../src/core/bytes.ts';
import { Cutter } from '../../src/delta/cutter.ts';

function cutterOf(...chunks: readonly string[]): Cutter {
  const source = async function* () {
    for (const chunk of chunks) yield Buffer.from(chunk);
  };
  return new Cutter(source(), (missing) => new Error(`${missing} are missing`));
}

describe('a stream of chunks', () => {
  it('is cut into pieces of any length', async () => {
    await using cutter = cutterOf('ab', '', 'cdefg', 'h');
    await cutter.skip(1);
    expect((await collect(cutter.next(3))).toString()).toBe('bcd');
    expect((await collect(cutter.next(4))).toString()).toBe('efgh');
    expect(await cutter.isAtEnd()).toBe(true);
  });

  it('is at its end when nothing but empty chunks is left', async () => {
    await using cutter = cutterOf('ab', '', '');
    await cutter.skip(2);
    expect(await cutter.isAtEnd()).toBe(true);
  });

  it('is not at its end before an empty chunk that others follow', async () => {
    await using cutter = cutterOf('ab', '', 'c');
    await cutter.skip(2);
    expect(await cutter.isAtEnd()).toBe(false);
  });

  it('that ends too early says how much is missing', async () => {
    await using cutter = cutterOf('ab');
    await expect(cutter.skip(5)).rejects.toThrow('3 are missing');
  });
});
