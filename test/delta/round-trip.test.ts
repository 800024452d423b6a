import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Digest } from '../../src/core/digest.ts';
import type { OsupdError } from '../../src/core/errors.ts';
import { noProgress } from '../../src/core/progress.ts';
import { applyRecords, namedBy, planRecords } from '../../src/delta/apply.ts';
import { applyToPool } from '../../src/delta/apply-images.ts';
import type { DeltaImage } from '../../src/delta/write.ts';
import { ObjectBatch } from '../../src/objects/ingest.ts';
import type { Pool } from '../../src/objects/pool.ts';
import { objectsOf } from '../../src/tree/references.ts';
import { problemsOf } from '../helpers/pools.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';
import {
  addSystem,
  applyDelta,
  below,
  copyObjects,
  type DeltaSides,
  digestsOf,
  imageBytes,
  type MadeDelta,
  makeDelta,
  newPool,
  newSystem,
  nextSystem,
  objectsIn,
  readerOf,
  type System,
} from './fixture.ts';

const SCALE = Number(process.env.OSUPD_TEST_SCALE ?? 1);
const directory = temporaryDirectory();

let store: Pool;
beforeAll(async () => {
  store = await newPool(directory);
});

/** A device that has the images with their objects. */
async function deviceWith(images: readonly DeltaImage[]): Promise<Pool> {
  const device = await newPool(directory);
  await copyObjects(store, device, digestsOf(images));
  for (const { bytes, digest } of images) await device.addImage(bytes, digest);
  return device;
}

/** Applies the delta on a device that has just the from-images, and expects just the rest to be there then. */
async function expectRoundTrip(sides: DeltaSides): Promise<MadeDelta> {
  const delta = await makeDelta(store, sides);
  expect(delta.head.from).toEqual(sides.from.map(({ digest }) => digest));
  expect(delta.bytes.length).toBe(delta.summary.size);
  expect(delta.head.size + delta.head.payloadSize).toBe(delta.summary.size);
  const device = await deviceWith(sides.from);
  const { plan, images } = await applyDelta(delta, sides.from, device);
  expect([...images]).toEqual(sides.to.map(({ digest, bytes }) => [digest, Buffer.from(bytes)]));
  expect(plan.missing).toEqual([]);
  expect(await objectsIn(device)).toEqual(digestsOf([...sides.from, ...sides.to]).sort());
  expect(await problemsOf(device)).toEqual([]);
  return delta;
}

const add = (system: System) => addSystem(store, system);

describe('a delta', () => {
  for (let seed = 1; seed <= 3 * SCALE; seed++) {
    it(`leads from a system to its next version (seed ${seed})`, async () => {
      const before = newSystem(seed, 60);
      const from = [await add(before)];
      const to = [await add(nextSystem(before, seed + 1000))];
      const { summary } = await expectRoundTrip({ from, to });
      const full = await expectRoundTrip({ from: [], to });
      expect(summary.size).toBeLessThan(full.summary.size);
    });
  }

  it('leads from one stack of images to another', async () => {
    const [os, app] = [newSystem(11, 40), newSystem(12, 20)];
    const from = [await add(os), await add(app)];
    const to = [await add(nextSystem(os, 13)), await add(nextSystem(app, 14))];
    await expectRoundTrip({ from, to });
    await expectRoundTrip({ from: from.slice(0, 1), to });
    await expectRoundTrip({ from, to: to.slice(1) });
  });

  it('codes a to-image against another to-image where no old one is as close', async () => {
    const other = newSystem(15, 60);
    const to = [await add(other), await add(nextSystem(other, 16))];
    const { head } = await expectRoundTrip({ from: [], to });
    expect(head.header.images.map(({ base }) => base)).toEqual([undefined, 0]);
  });

  it('has no record where the new image has no new object', async () => {
    const before = newSystem(21, 30);
    const touched = new Map(
      [...before].map(([path, item]) => [path, item.type === 'file' ? { ...item, time: 5 } : item]),
    );
    const moved = new Map(
      [...before].filter(([, { type }]) => type === 'file').map(([path, item]) => [`all/${path}`, item]),
    );
    const from = [await add(before)];
    for (const after of [touched, moved, before, new Map()] as System[]) {
      const { summary } = await expectRoundTrip({ from, to: [await add(after)] });
      expect(summary).toMatchObject({ records: 0, objects: { count: 0, bytes: 0 } });
    }
  });

  it('leads from and to an empty system', async () => {
    const [empty, full] = [await add(new Map()), await add(newSystem(22, 20))];
    await expectRoundTrip({ from: [empty], to: [full] });
    await expectRoundTrip({ from: [full], to: [empty] });
    await expectRoundTrip({ from: [], to: [empty] });
  });

  it('is the same, byte by byte, whatever the number of workers', async () => {
    const before = newSystem(31, 60);
    const sides = { from: [await add(before)], to: [await add(nextSystem(before, 32))] };
    const { bytes } = await makeDelta(store, sides, { workers: 1 });
    for (const workers of [2, 3]) expect((await makeDelta(store, sides, { workers })).bytes.equals(bytes)).toBe(true);
  });

  it('needs images on one side at least, each once', async () => {
    const image = await add(new Map());
    await expect(makeDelta(store, { from: [image], to: [] })).rejects.toMatchObject({ code: 'usage' });
    await expect(makeDelta(store, { from: [], to: [image, image] })).rejects.toMatchObject({ code: 'usage' });
  });
});

describe('a device', () => {
  let from: DeltaImage[];
  let to: DeltaImage[];
  let delta: MadeDelta;
  /** Objects of the to-images alone. */
  let fresh: Digest[];
  beforeAll(async () => {
    const before = newSystem(41, 160);
    from = [await add(before)];
    to = [await add(nextSystem(before, 42))];
    delta = await makeDelta(store, { from, to });
    const old = new Set(digestsOf(from));
    fresh = digestsOf(to).filter((digest) => !old.has(digest));
    expect(delta.head.header.records.length).toBeGreaterThan(8);
  });

  it('that has some of the new objects reads no record of those alone', async () => {
    const next = below(43);
    for (let round = 0; round < 4 * SCALE; round++) {
      const device = await deviceWith(from);
      const had = fresh.filter(() => next(3) < 2);
      await copyObjects(store, device, had);
      const { plan } = await applyDelta(delta, from, device);
      expect(plan.objects.map(({ digest }) => digest).sort()).toEqual(fresh.filter((one) => !had.includes(one)).sort());
      for (const { kept, members } of plan.records) {
        expect(kept.size).toBeGreaterThan(0);
        expect([...kept]).toEqual(members.map(({ digest }) => digest).filter((digest) => !had.includes(digest)));
      }
      expect(await objectsIn(device)).toEqual(digestsOf([...from, ...to]).sort());
    }
  });

  it('that has everything reads nothing', async () => {
    const device = await deviceWith([...from, ...to]);
    const { plan } = await applyDelta(delta, from, device);
    expect(plan).toMatchObject({ fetchBytes: 0, ranges: [], records: [], objects: [] });
  });

  it('is told which objects it lacks to build on, before anything is read', async () => {
    const device = await deviceWith(from);
    const based = new Set(delta.head.header.records.flatMap(({ bases }) => bases));
    expect(based.size).toBeGreaterThan(0);
    const empty = await newPool(directory);
    const reads: number[] = [];
    await expect(applyDelta(delta, from, empty, (offset) => reads.push(offset))).rejects.toMatchObject({
      code: 'damaged-store',
      facts: { objects: expect.arrayContaining([expect.any(String)]) },
    });
    expect(reads).toEqual([]);
    expect(await objectsIn(device)).toEqual(digestsOf(from).sort());
  });

  it('is told which object it must repair where one that records build on is damaged', async () => {
    const thorough = await makeDelta(store, { from, to }, { effort: 7 });
    const old = digestsOf(from);
    const next = below(45);
    let refused = 0;
    const based = thorough.head.header.records.flatMap(({ bases }) => bases.flatMap((base) => old[base] ?? []));
    for (const digest of [...new Set(based)].slice(0, 5 * SCALE)) {
      const device = await deviceWith(from);
      const path = device.objectPath(digest);
      const bytes = readFileSync(path);
      for (let damage = 0; damage < 3; damage++) bytes[next(bytes.length)]! ^= 1 << next(8);
      // A new file: the old one may be sealed by fs-verity.
      rmSync(path);
      writeFileSync(path, bytes);
      try {
        await applyDelta(thorough, from, device);
      } catch (error) {
        const { code, where, remedy, facts } = error as OsupdError;
        expect({ code, where, facts }).toEqual({
          code: 'verification-failed',
          where: path,
          facts: { objects: [digest] },
        });
        expect(remedy).toContain('osupd fsck --repair');
        refused++;
      }
      for (const { path: wrong } of await problemsOf(device)) expect(path.endsWith(wrong)).toBe(true);
    }
    expect(refused).toBeGreaterThan(0);
  });

  it('that is interrupted again and again never reads again what was complete', async () => {
    for (let round = 0; round < 2 * SCALE; round++) {
      const next = below(44 + round);
      const device = await deviceWith(from);
      const complete = new Set<number>();
      for (let tries = 0; ; tries++) {
        let budget = tries > 40 ? Number.POSITIVE_INFINITY : 1 + next(delta.head.payloadSize / 3);
        let begun: number | undefined;
        let read = 0;
        const failing = (offset: number) => {
          begun ??= offset;
          budget -= 777;
          if (budget < 0) throw new Error('the line is cut');
          read = offset;
        };
        try {
          const { plan } = await applyDelta(delta, from, device, failing);
          expect(plan.records.some(({ range }) => complete.has(range.offset))).toBe(false);
          break;
        } catch (error) {
          expect((error as Error).message).toBe('the line is cut');
          expectNothingAgain(await planOf(device), complete, begun ?? 0, read);
        }
      }
      expect(await objectsIn(device)).toEqual(digestsOf([...from, ...to]).sort());
      expect(await problemsOf(device)).toEqual([]);
    }
  });

  async function planOf(device: Pool) {
    const images = new Map([...imageBytes(from), ...imageBytes(to)]);
    return planRecords(delta.head, namedBy(images), (digest) => device.hasObject(digest));
  }

  /** Notes the records that are not planned any more: they must stay away. Those that were read whole must be among them. */
  function expectNothingAgain(
    plan: Awaited<ReturnType<typeof planOf>>,
    complete: Set<number>,
    begun: number,
    read: number,
  ): void {
    const planned = new Set(plan.records.map(({ range }) => range.offset));
    let offset = delta.head.size;
    for (const { stored } of delta.head.header.records) {
      if (complete.has(offset) || (offset >= begun && offset + stored <= read)) expect(planned.has(offset)).toBe(false);
      if (!planned.has(offset)) complete.add(offset);
      offset += stored;
    }
  }

  it('keeps what was complete when a whole delta is stopped, and goes on with the rest', async () => {
    const device = await deviceWith(from);
    const stop = new AbortController();
    const read = readerOf(delta.bytes, (offset) => {
      if (offset > delta.head.size + delta.head.payloadSize / 2) stop.abort();
    });
    const options = { progress: noProgress, signal: stop.signal };
    const applying = applyToPool({ head: delta.head, read }, device, options);
    await expect(applying).rejects.toMatchObject({ code: 'interrupted' });
    const kept = (await objectsIn(device)).length - digestsOf(from).length;
    expect(kept).toBeGreaterThan(0);
    expect(device.hasImage(to[0]!.digest)).toBe(false);
    const rest = await applyToPool({ head: delta.head, read: readerOf(delta.bytes) }, device, { progress: noProgress });
    expect(rest.images).toEqual([to[0]!.digest]);
    expect(rest.added.count).toBe(fresh.length - kept);
    expect(await problemsOf(device)).toEqual([]);
  });

  it('on the way to another image brings what is wanted, and what that is based on, alone', async () => {
    const wanted = fresh.filter((_, index) => index % 4 === 0);
    const device = await deviceWith(from);
    const images = new Map([...imageBytes(from), ...imageBytes(to)]);
    await using batch = await ObjectBatch.open(device, { workers: 1 });
    const plan = planRecords(
      delta.head,
      namedBy(images),
      (digest) => batch.has(digest),
      (digest) => wanted.includes(digest),
    );
    await applyRecords(plan, readerOf(delta.bytes), batch, { progress: noProgress });
    await batch.close();
    expect(plan.objects.map(({ digest }) => digest).sort()).toEqual(wanted.toSorted());
    expect(await objectsIn(device)).toEqual([...digestsOf(from), ...wanted].sort());
    expect(plan.objectBytes).toBe(
      objectsOf(to[0]!.tree).reduce((sum, { digest, size }) => sum + (wanted.includes(digest) ? size : 0), 0),
    );
  });
});
