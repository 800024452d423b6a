import { readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { OsupdError } from '../../../src/core/errors.ts';
import { noProgress } from '../../../src/core/progress.ts';
import { verifyPool } from '../../../src/deploy/integrity/background.ts';
import { readRecord } from '../../../src/deploy/integrity/record.ts';
import { TestDevice } from '../../helpers/device.ts';
import { longText } from '../../helpers/stack.ts';
import { temporaryDirectory } from '../../helpers/temporary.ts';

const directory = temporaryDirectory();
const OBJECTS = 12;
const BYTES = 9000;

async function newDevice(): Promise<{ device: TestDevice; objects: string[] }> {
  const device = await TestDevice.create(directory);
  const files = Array.from({ length: OBJECTS }, (_, at) => [`file-${at}`, longText(`${at}`, BYTES)]);
  await device.deploy([device.image('os', '1', Object.fromEntries(files))]);
  const objects = (await Array.fromAsync(device.root.pool.listObjects())).map(({ digest }) => digest);
  return { device, objects };
}

/** A run at a time, with a clock that goes on while it waits. */
function verify(
  { root }: TestDevice,
  { day = 1, rate = 1e9, signal }: { day?: number; rate?: number; signal?: AbortSignal } = {},
) {
  let clock = 0;
  const waited: number[] = [];
  const wait = async (milliseconds: number) => {
    clock += milliseconds;
    waited.push(milliseconds);
  };
  const now = () => new Date(`2030-01-${String(day).padStart(2, '0')}T00:00:00Z`);
  const options = { rate, every: 7, now, signal, progress: noProgress, clock: { now: () => clock, wait } };
  return verifyPool(root, options).then((run) => ({ run, waited: waited.reduce((sum, each) => sum + each, 0) }));
}

/** A signal that comes after so many reads of `aborted`. */
function after(count: number): AbortSignal {
  let left = count;
  return {
    get aborted() {
      return left-- <= 0;
    },
  } as AbortSignal;
}

describe('a verification in the background', () => {
  it('reads everything once in seven days', async () => {
    const { device } = await newDevice();
    const { run } = await verify(device);
    expect(run).toEqual({ finished: true, objects: OBJECTS, bytes: OBJECTS * BYTES, problems: [] });
    expect(readRecord(device.directory)).toMatchObject({
      verified: { startedAt: '2030-01-01T00:00:00Z', objects: OBJECTS, bytes: OBJECTS * BYTES },
      damaged: [],
    });
    expect((await verify(device, { day: 7 })).run).toBeUndefined();
    expect((await verify(device, { day: 8 })).run).toMatchObject({ objects: OBJECTS });
  });

  it('goes on where it was stopped, and the round counts as one', async () => {
    const { device, objects } = await newDevice();
    const first = await verify(device, { signal: after(5) });
    expect(first.run).toMatchObject({ finished: false, objects: 5 });
    expect(readRecord(device.directory)).toMatchObject({ running: { position: objects[4], objects: 5 } });
    const second = await verify(device, { day: 2 });
    expect(second.run).toMatchObject({ finished: true, objects: OBJECTS - 5 });
    const { verified, running } = readRecord(device.directory);
    expect(running).toBeUndefined();
    expect(verified).toEqual({
      startedAt: '2030-01-01T00:00:00Z',
      finishedAt: '2030-01-02T00:00:00Z',
      objects: OBJECTS,
      bytes: OBJECTS * BYTES,
    });
  });

  it('that is stopped within an object reads it again, and takes it for good until then', async () => {
    const { device } = await newDevice();
    let pauses = 0;
    const wait = async () => {
      if (++pauses === 4) throw new OsupdError('interrupted', 'stopped');
    };
    const now = () => new Date('2030-01-01T00:00:00Z');
    const options = { rate: 1000, every: 7, now, progress: noProgress, clock: { now: () => 0, wait } };
    const run = await verifyPool(device.root, options);
    expect(run).toMatchObject({ finished: false, problems: [] });
    expect(readRecord(device.directory)).toMatchObject({ running: { objects: run?.objects }, damaged: [] });
    expect((await verify(device)).run).toMatchObject({ finished: true, objects: OBJECTS - (run?.objects ?? 0) });
  });

  it('reads no faster than it may', async () => {
    const { device } = await newDevice();
    const { waited, run } = await verify(device, { rate: 100_000 });
    // The images are read, too; pauses below 20 ms are left for the next.
    const seconds = (run?.bytes ?? 0) / 100_000;
    expect(waited / 1000).toBeGreaterThan(seconds - 0.02);
  });

  it('remembers damage until it is repaired, over all runs of a round', async () => {
    const { device, objects } = await newDevice();
    const path = (at: number) => device.root.pool.objectPath(objects[at] as never);
    const good = [1, 8].map((at) => readFileSync(path(at)));
    truncateSync(path(1), 100);
    writeFileSync(path(8), good[1]?.toString('latin1').replace('.', ',') ?? '');
    rmSync(path(10));
    expect((await verify(device, { signal: after(4) })).run?.problems.map(({ type }) => type)).toEqual([
      'missing-object',
      'truncated-object',
    ]);
    await verify(device, { day: 2 });
    const found = () => readRecord(device.directory).damaged.map(({ type, digest }) => [type, digest]);
    expect(found()).toEqual([
      ['truncated-object', objects[1]],
      ['missing-object', objects[10]],
      ['changed-object', objects[8]],
    ]);
    for (const [at, content] of [1, 8].entries()) writeFileSync(path(content), good[at] as Buffer);
    await verify(device, { day: 20 });
    expect(found()).toEqual([['missing-object', objects[10]]]);
  });

  it('begins anew where its record is damaged', async () => {
    const { device } = await newDevice();
    await verify(device);
    writeFileSync(join(device.directory, 'integrity.json'), 'torn');
    expect((await verify(device)).run).toMatchObject({ objects: OBJECTS });
  });
});
