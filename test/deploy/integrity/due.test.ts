import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { noProgress } from '../../../src/core/progress.ts';
import { checkComplete, objectsOfImages } from '../../../src/deploy/completeness.ts';
import type { DeployedImage } from '../../../src/deploy/deployment-files.ts';
import { dueObjects } from '../../../src/deploy/integrity/due.ts';
import { readRecord } from '../../../src/deploy/integrity/record.ts';
import { TestDevice } from '../../helpers/device.ts';
import { longText } from '../../helpers/stack.ts';
import { temporaryDirectory } from '../../helpers/temporary.ts';

const directory = temporaryDirectory();
const DAY_MS = 24 * 60 * 60 * 1000;

const day = (number: number) => new Date(Date.now() + number * DAY_MS);

async function newDevice() {
  const device = await TestDevice.create(directory);
  const image = device.image('os', '1', { a: longText('a'), b: longText('b'), c: longText('c') });
  const { pool } = device.root;
  const objects = await objectsOfImages(pool, [image.digest]);
  const due = async (now: Date | undefined, of: DeployedImage = image) =>
    dueObjects(pool, [of.digest], await objectsOfImages(pool, [of.digest]), now).due.length;
  const check = (options: { now?: Date; verify?: boolean }) =>
    checkComplete(pool, [image], { progress: noProgress, ...options });
  const damage = () => {
    const path = pool.objectPath(objects[0]!.digest);
    writeFileSync(path, readFileSync(path, 'latin1').replace('.', ','));
  };
  return { device, image, objects, due, check, damage };
}

describe('before a switch', () => {
  it('all objects are read, and then not again for seven days', async () => {
    const { due, check } = await newDevice();
    expect(await due(day(1))).toBe(3);
    await check({ now: day(1) });
    expect(await due(day(1))).toBe(0);
    expect(await due(day(7))).toBe(0);
    expect(await due(day(9))).toBe(3);
    // A clock that was set back says nothing.
    expect(await due(day(0))).toBe(3);
    expect(await due(undefined)).toBe(3);
  });

  it('an object that was written since is read again', async () => {
    const { device, objects, due, check } = await newDevice();
    await check({ now: new Date(Date.now() - 1000) });
    const path = device.root.pool.objectPath(objects[1]!.digest);
    writeFileSync(path, readFileSync(path));
    expect(await due(new Date())).toBe(3);
    await check({ now: day(1) });
    expect(await due(day(2))).toBe(0);
  });

  it('a changed object is found where nothing vouches for it, and noted', async () => {
    const { device, objects, check, damage } = await newDevice();
    damage();
    await expect(check({ now: day(1) })).rejects.toMatchObject({ code: 'damaged-store', facts: { count: 1 } });
    expect(readRecord(device.directory)).toMatchObject({ images: {}, damaged: [{ digest: objects[0]!.digest }] });
    await expect(check({})).rejects.toMatchObject({ code: 'damaged-store' });
    await expect(check({ verify: true })).rejects.toMatchObject({ code: 'damaged-store' });
    await check({ verify: false });
  });

  it('damage that is known keeps a verification from counting', async () => {
    const { due, check, damage } = await newDevice();
    await check({ now: day(1) });
    damage();
    await expect(check({ verify: true, now: day(1) })).rejects.toMatchObject({ code: 'damaged-store' });
    expect(await due(day(1))).toBe(3);
  });

  it('an object that is cut off or missing is found in any case', async () => {
    const { device, objects, check } = await newDevice();
    await check({ now: day(1) });
    truncateSync(device.root.pool.objectPath(objects[2]!.digest), 10);
    for (const verify of [true, false, undefined])
      await expect(check(verify === undefined ? { now: day(1) } : { verify })).rejects.toMatchObject({
        facts: { count: 1 },
      });
  });
});
