import { expect, it } from 'vitest';
import { OpenBases } from '../../src/delta/open-bases.ts';
import { readBases } from '../../src/delta/read-base.ts';

/** Bases whose bytes are their number. */
function countedBases(count: number) {
  const log: string[] = [];
  const bases = new OpenBases(async (source: { readonly size: number; readonly number: number }) => {
    if (source.number === 13) throw new Error('cannot be opened');
    log.push(`open ${source.number}`);
    return {
      read: async (_offset: number, length: number) => new Uint8Array(length).fill(source.number),
      close: async () => void log.push(`close ${source.number}`),
    };
  });
  const sources = Array.from({ length: count }, (_, number) => ({ size: 3, number }));
  return { bases, log, opened: sources.map((source) => bases.baseOf(source)) };
}

it('bases are opened when they are read, and the one that was read longest ago is closed for a fifth', async () => {
  const { bases, log, opened } = countedBases(6);
  expect(log).toEqual([]);
  for (const number of [0, 1, 2, 3, 0, 4])
    expect(await opened[number]!.read(0, 2)).toEqual(new Uint8Array(2).fill(number));
  expect(log).toEqual(['open 0', 'open 1', 'open 2', 'open 3', 'close 1', 'open 4']);
  await bases[Symbol.asyncDispose]();
  expect(log.slice(6)).toEqual(['close 2', 'close 3', 'close 0', 'close 4']);
});

it('whole bases are read one after the other', async () => {
  const { opened } = countedBases(3);
  expect(await readBases(opened)).toEqual(Uint8Array.of(0, 0, 0, 1, 1, 1, 2, 2, 2));
});

it('a base that cannot be opened hinders no other', async () => {
  const { bases, log, opened } = countedBases(14);
  await expect(opened[13]!.read(0, 1)).rejects.toThrow('cannot be opened');
  for (const number of [1, 2, 3, 4]) await opened[number]!.read(0, 1);
  await bases[Symbol.asyncDispose]();
  expect(log.filter((line) => line.startsWith('close'))).toHaveLength(4);
});
