import { readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Digest } from '../../src/core/digest.ts';
import { toOsupdError } from '../../src/core/errors.ts';
import { noProgress } from '../../src/core/progress.ts';
import { fsverityDigest } from '../../src/objects/fsverity.ts';
import { repairPool } from '../../src/pull/repair.ts';
import { openSource } from '../../src/transport/open.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';
import { leftovers, type PullingDevice, poolProblems, TestSite, versionOf } from './fixture.ts';

const base = temporaryDirectory();
let site: TestSite;

beforeAll(async () => {
  site = await TestSite.create(base);
  await site.release('os@1', versionOf(1, 40, 10));
  await site.release('os@2', versionOf(2, 40, 10));
  await site.release('app@1', { ...versionOf(1, 5, 0), app: 'x'.repeat(100_000), empty: '' });
});
afterAll(() => site.server.close());
beforeEach(() => {
  site.server.log.length = 0;
  site.server.behaviour = () => false;
});

const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'none',
    (error: unknown) => toOsupdError(error).code,
  );

describe('a repository without deltas', () => {
  let device: PullingDevice;
  beforeEach(async () => {
    device = await site.device();
  });

  it('is pulled object by object, each once', async () => {
    const summary = await device.pull('os@1');
    expect(summary.images[0]?.way).toMatchObject({ kind: 'objects', exact: true, requests: 40 });
    expect(summary.added.count).toBe(40);
    expect(await device.pool.listImages()).toEqual([site.images.get('os@1')]);
    expect(await poolProblems(device.pool)).toEqual([]);
    expect(leftovers(device.pool)).toEqual([]);
    const asked = site.contentRequests();
    expect(asked).toHaveLength(42);
    expect(new Set(asked).size).toBe(42);
  });

  it('says in advance, to the byte, what will be downloaded', async () => {
    const plan = await device.plan('os@1');
    expect(site.contentRequests().some((path) => path.startsWith('objects/'))).toBe(false);
    const summary = await device.pull('os@1');
    expect(summary.downloaded).toBe(plan.bytes);
    expect(summary.planning).toBe(0);
    const content = site.server.log.filter(({ path }) => path.startsWith('objects/'));
    expect(content.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(plan.bytes);
  });

  it('brings of the next version only what is new', async () => {
    await device.pull('os@1');
    site.server.log.length = 0;
    const summary = await device.pull('os@2');
    expect(summary.added.count).toBe(10);
    expect(site.contentRequests().filter((path) => path.startsWith('objects/'))).toHaveLength(10);
    expect(await poolProblems(device.pool)).toEqual([]);
  });

  it('brings what several images share once', async () => {
    const summary = await device.pull('app@1', 'os@1');
    const objects = site.contentRequests().filter((path) => path.startsWith('objects/'));
    expect(new Set(objects).size).toBe(objects.length);
    expect(summary.added.count).toBe(objects.length);
    expect(await device.pool.listImages()).toHaveLength(2);
    expect(await poolProblems(device.pool)).toEqual([]);
  });

  it('downloads nothing for images that are there', async () => {
    await device.pull('os@1');
    site.server.log.length = 0;
    expect(await device.pull('os@1')).toMatchObject({ images: [], downloaded: 0 });
    expect(site.contentRequests()).toEqual([]);
  });

  it('goes on after a failure with what is not there yet', async () => {
    let left = 15;
    site.server.behaviour = (_request, response, path) => {
      if (!path.startsWith('objects/') || left-- > 0) return false;
      response.destroy();
      return true;
    };
    expect(await codeOf(device.pull('os@1'))).toBe('network');
    expect(await device.pool.listImages()).toEqual([]);
    const complete = site.server.log.filter(({ path, complete }) => path.startsWith('objects/') && complete);
    expect(complete.length).toBeGreaterThanOrEqual(8);
    site.server.behaviour = () => false;
    site.server.log.length = 0;
    await device.pull('os@1');
    const again = new Set(site.contentRequests());
    for (const { path } of complete) expect(again.has(path), path).toBe(false);
    expect(await poolProblems(device.pool)).toEqual([]);
  });

  it.each<[string, RegExp, (bytes: Buffer) => Buffer]>([
    ['an image that was changed', /^images\//, flip],
    ['an image that was cut', /^images\//, (bytes) => bytes.subarray(0, bytes.length - 1)],
    ['object sizes that were changed', /^sizes\//, flip],
    ['an object that was changed', /^objects\//, flip],
    ['an object that is another one', /^objects\//, () => otherObject()],
    ['an object with rubbish at its end', /^objects\//, (bytes) => Buffer.concat([bytes, bytes])],
    ['an object that grows without end', /^objects\//, () => bomb],
    ['an object that is empty', /^objects\//, () => Buffer.alloc(0)],
  ])('%s is refused, and nothing of it kept', async (_, path, change) => {
    const files = site.repository.directory;
    site.server.behaviour = (_request, response, asked) => {
      if (!path.test(asked)) return false;
      const body = change(readFileSync(join(files, asked)));
      response.writeHead(200, { 'content-length': body.length }).end(body);
      return true;
    };
    expect(['verification-failed', 'network']).toContain(await codeOf(device.pull('os@1')));
    expect(await device.pool.listImages()).toEqual([]);
    expect(await poolProblems(device.pool)).toEqual([]);
    site.server.behaviour = () => false;
    await device.pull('os@1');
    expect(await poolProblems(device.pool)).toEqual([]);
  });

  it('an endless body is left after the bytes that were signed', async () => {
    site.server.behaviour = (_request, response, asked) => {
      if (!asked.startsWith('objects/')) return false;
      const more = () => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536)));
        if (!response.destroyed) response.once('drain', more);
      };
      more();
      return true;
    };
    expect(await codeOf(device.pull('os@1'))).toBe('verification-failed');
  });
});

const bomb = Buffer.from('KLUv/SAA', 'base64');
function flip(bytes: Buffer): Buffer {
  const changed = Buffer.from(bytes);
  changed[Math.floor(bytes.length / 2)]! ^= 1;
  return changed;
}
function otherObject(): Buffer {
  return readFileSync(
    join(site.repository.directory, site.contentRequests().find((path) => path.startsWith('objects/'))!),
  );
}

describe('repair', () => {
  it('fetches what is missing or damaged, and nothing else', async () => {
    const device = await site.device();
    await device.pull('os@1');
    const objects: { digest: Digest; size: number }[] = [];
    for await (const object of device.pool.listObjects()) objects.push(object);
    const [missing, cut, changed] = objects;
    const image = site.images.get('os@1')!;
    rmSync(device.pool.objectPath(missing!.digest));
    truncateSync(device.pool.objectPath(cut!.digest), 5);
    writeFileSync(device.pool.objectPath(changed!.digest), flip(readFileSync(device.pool.objectPath(changed!.digest))));
    rmSync(device.pool.imagePath(image));
    site.server.log.length = 0;
    const source = await openSource(site.server.url, { userAgent: 'osupd/test', random: () => 0 });
    const steps: number[] = [];
    await repairPool(
      { images: [image], objects: [missing!, cut!, changed!] },
      { pool: device.pool, source, progress: (event) => event.kind === 'advance' && steps.push(event.done) },
    );
    expect(await poolProblems(device.pool)).toEqual([]);
    expect(await device.pool.listImages()).toEqual([image]);
    expect(site.contentRequests()).toHaveLength(4);
    expect(steps).toEqual([1, 2, 3, 4]);
    expect(leftovers(device.pool)).toEqual([]);
    await source.close();
  });

  it('keeps what it could mend when something is not to be had', async () => {
    const device = await site.device();
    await device.pull('os@1');
    const objects: { digest: Digest; size: number }[] = [];
    for await (const object of device.pool.listObjects()) objects.push(object);
    for (const { digest } of objects.slice(0, 2)) rmSync(device.pool.objectPath(digest));
    const unknown = { digest: fsverityDigest(Buffer.from('nobody has this')), size: 15 };
    const source = await openSource(site.server.url, { userAgent: 'osupd/test', random: () => 0 });
    const repairs = { images: [], objects: [...objects.slice(0, 2), unknown] };
    const { failed } = await repairPool(repairs, { pool: device.pool, source, progress: noProgress });
    expect(failed).toMatchObject([{ digest: unknown.digest }]);
    expect(await poolProblems(device.pool)).toEqual([]);
    await source.close();
  });
});
