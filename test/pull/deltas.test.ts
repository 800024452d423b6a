import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Digest } from '../../src/core/digest.ts';
import { decodeImage } from '../../src/image/read.ts';
import { ObjectBatch } from '../../src/objects/ingest.ts';
import { objectsOf } from '../../src/tree/references.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';
import { answer } from '../helpers/web-server.ts';
import { content, type Files, headSizeIn, leftovers, type PullingDevice, poolProblems, TestSite } from './fixture.ts';

const base = temporaryDirectory();

/** Three versions: `steady` stays, `slow` changes in version 3, `fast` in each; `once` is in version 2 alone. */
function version(number: number): Files {
  const files: Record<string, Buffer> = { large: content('large', number, 400_000) };
  for (let at = 0; at < 8; at++) {
    files[`steady-${at}`] = content(`steady ${at}`, 0, 30_000);
    files[`slow-${at}`] = content(`slow ${at}`, number > 2 ? 1 : 0, 30_000);
    files[`fast-${at}.txt`] = content(`fast ${at}`, number, 30_000);
    if (number === 2) files[`once-${at}.bin`] = content(`once ${at}`, 0, 40_000);
  }
  return files;
}

let site: TestSite;
/** Paths of delta files: `1-2`, `2-3`, … */
const deltas = new Map<string, string>();

beforeAll(async () => {
  site = await TestSite.create(base);
  for (const number of [1, 2, 3]) await site.release(`os@${number}`, version(number));
  deltas.set('1-2', await site.delta(['os@1'], ['os@2']));
  deltas.set('2-3', await site.delta(['os@2'], ['os@3']));
});
afterAll(() => site.server.close());
beforeEach(() => {
  site.server.log.length = 0;
  site.server.behaviour = () => false;
});

/** A device that has a version. */
async function deviceWith(reference: string): Promise<PullingDevice> {
  const device = await site.device();
  await device.pull(reference);
  site.server.log.length = 0;
  return device;
}

const requests = (start: string) => site.contentRequests().filter((path) => path.startsWith(start));

async function expectComplete(device: PullingDevice, ...references: string[]): Promise<void> {
  expect(await poolProblems(device.pool)).toEqual([]);
  expect(await device.pool.listImages()).toEqual(references.map((each) => site.images.get(each)!).sort());
  expect(leftovers(device.pool)).toEqual([]);
}

describe('a delta', () => {
  it('brings an update with a fraction of the bytes, and nothing else is fetched', async () => {
    const device = await deviceWith('os@1');
    const plan = await device.plan('os@2');
    expect(plan.images[0]?.way).toMatchObject({ kind: 'delta', files: [deltas.get('1-2')], exact: true });
    const summary = await device.pull('os@2');
    expect(summary.downloaded).toBe(plan.bytes);
    expect(requests('deltas/').every((path) => path === deltas.get('1-2'))).toBe(true);
    expect([...requests('objects/'), ...requests('images/')]).toEqual([]);
    const singles = summary.images[0]?.others.find(({ kind }) => kind === 'objects');
    expect(singles?.bytes).toBeGreaterThan(plan.bytes);
    await expectComplete(device, 'os@1', 'os@2');
  });

  it('fetches its head once, for the plan and the pull', async () => {
    const device = await deviceWith('os@1');
    const plan = await device.plan('os@2');
    const head = site.server.log.filter(({ range }) => range?.startsWith('bytes=0-'));
    expect(plan.planning).toBeGreaterThan(0);
    await device.pull('os@2');
    expect(site.server.log.filter(({ range }) => range?.startsWith('bytes=0-'))).toHaveLength(head.length);
  });

  it('is read only as far as objects are lacking', async () => {
    const device = await deviceWith('os@1');
    const whole = await device.plan('os@2');
    // As if an application image had brought some of them.
    const other = await deviceWith('os@2');
    const batch = await ObjectBatch.open(device.pool);
    for (let at = 0; at < 8; at++) {
      const bytes = readFileSync(other.pool.objectPath(objectOf('os@2', `once-${at}.bin`)));
      await batch.add(one(bytes));
    }
    await batch.close();
    const less = await device.plan('os@2');
    expect(less.bytes).toBeLessThan(whole.bytes / 2);
    await device.pull('os@2');
    await expectComplete(device, 'os@1', 'os@2');
  });
});

async function* one(bytes: Uint8Array) {
  yield bytes;
}

function objectOf(reference: string, name: string): Digest {
  const image = site.images.get(reference)!;
  const { root } = decodeImage(readFileSync(join(site.repository.pool, 'images', image)));
  const node = root.children.get(name);
  if (node?.type !== 'file' || node.digest === undefined) throw new Error(`${name} has no object`);
  return node.digest;
}

function digestsOf(reference: string): Set<Digest> {
  const image = site.images.get(reference)!;
  const tree = decodeImage(readFileSync(join(site.repository.pool, 'images', image)));
  return new Set(objectsOf(tree).map(({ digest }) => digest));
}

describe('a chain of deltas', () => {
  it('leads over a release that is never stored, and skips what that alone needs', async () => {
    const device = await deviceWith('os@1');
    const plan = await device.plan('os@3');
    expect(plan.images[0]?.way).toMatchObject({
      kind: 'chain',
      files: [deltas.get('1-2'), deltas.get('2-3')],
      through: [site.images.get('os@1'), site.images.get('os@2')],
    });
    const sizes = [...deltas.values()].map((file) => readFileSync(join(site.repository.directory, file)).length);
    expect(plan.bytes + plan.planning).toBeLessThan(sizes[0]! + sizes[1]!);
    await device.pull('os@3');
    expect(requests('objects/')).toEqual([]);
    await expectComplete(device, 'os@1', 'os@3');
    for (let at = 0; at < 8; at++) {
      expect(device.pool.hasObject(objectOf('os@2', `once-${at}.bin`)), `once-${at}`).toBe(false);
    }
  });

  it('gives way to a delta that is smaller', async () => {
    const device = await deviceWith('os@1');
    const file = await site.delta(['os@1'], ['os@3']);
    deltas.set('1-3', file);
    const plan = await device.plan('os@3');
    expect(plan.images[0]?.way).toMatchObject({ kind: 'delta', files: [file] });
    expect(plan.images[0]?.others.map(({ kind }) => kind)).toContain('chain');
    await device.pull('os@3');
    await expectComplete(device, 'os@1', 'os@3');
  });
});

describe('a full delta', () => {
  it('is one stream for a first installation', async () => {
    deltas.set('3', await site.delta([], ['os@3']));
    const device = await site.device();
    const summary = await device.pull('os@3');
    expect(summary.images[0]?.way).toMatchObject({ kind: 'full', files: [deltas.get('3')] });
    expect(requests('deltas/').every((path) => path === deltas.get('3'))).toBe(true);
    expect([...requests('objects/'), ...requests('images/')]).toEqual([]);
    await expectComplete(device, 'os@3');
  });

  it('can be followed by a delta where there is none for the release itself', async () => {
    deltas.set('1', await site.delta([], ['os@1']));
    const device = await site.device();
    const summary = await device.pull('os@2');
    expect(summary.images[0]?.way.files).toEqual([deltas.get('1'), deltas.get('1-2')]);
    await expectComplete(device, 'os@2');
    const needed = digestsOf('os@2');
    const bases = digestsOf('os@1');
    for await (const { digest } of device.pool.listObjects()) {
      expect(needed.has(digest) || bases.has(digest)).toBe(true);
    }
  });
});

describe('a delta that is bad', () => {
  /** Serves a changed copy of a delta file. */
  function spoil(name: string, change: (bytes: Buffer, headSize: number) => Buffer): void {
    const file = deltas.get(name)!;
    const bytes = readFileSync(join(site.repository.directory, file));
    const changed = change(bytes, headSizeIn(bytes));
    site.server.behaviour = (request, response, path) => {
      if (path !== file) return false;
      answer(request, response, changed);
      return true;
    };
  }

  const flipAt = (bytes: Buffer, at: number) => {
    const changed = Buffer.from(bytes);
    changed[at]! ^= 0x40;
    return changed;
  };

  it.each<[string, (bytes: Buffer, headSize: number) => Buffer]>([
    ['in its prologue', (bytes) => flipAt(bytes, 3)],
    ['in its header', (bytes) => flipAt(bytes, 80)],
    ['at the end of its head', (bytes, headSize) => flipAt(bytes, headSize - 1)],
    ['at the start of its payload', (bytes, headSize) => flipAt(bytes, headSize + 20)],
    ['in the middle of its payload', (bytes, headSize) => flipAt(bytes, Math.floor((bytes.length + headSize) / 2))],
    ['at the end of its payload', (bytes) => flipAt(bytes, bytes.length - 1)],
  ])('%s is left for another way, and the pool is whole', async (_, change) => {
    const device = await deviceWith('os@1');
    spoil('1-2', change);
    const summary = await device.pull('os@2');
    expect(device.notes).toEqual([expect.stringMatching(/^deltas\/\w+\.osd cannot be used: .*; going another way$/)]);
    expect(summary.images.length).toBe(1);
    await expectComplete(device, 'os@1', 'os@2');
  });

  it('because it is gone is left for another way', async () => {
    const device = await deviceWith('os@1');
    site.server.behaviour = (_request, response, path) => {
      if (path !== deltas.get('1-2')) return false;
      response.writeHead(404).end();
      return true;
    };
    await device.pull('os@2');
    expect(device.notes).toHaveLength(1);
    await expectComplete(device, 'os@1', 'os@2');
  });

  it('because an old object is damaged on the device is left for another way', async () => {
    const device = await deviceWith('os@1');
    const old = device.pool.objectPath(objectOf('os@1', 'large'));
    writeFileSync(old, flipAt(readFileSync(old), 1000));
    await device.pull('os@2');
    const problems = await poolProblems(device.pool);
    expect(problems).toEqual([`object ${objectOf('os@1', 'large')} is damaged`]);
    expect(await device.pool.listImages()).toHaveLength(2);
  });

  it('because an old object is missing on the device is left for another way', async () => {
    const device = await deviceWith('os@1');
    rmSync(device.pool.objectPath(objectOf('os@1', 'large')));
    await device.pull('os@2');
    expect(await device.pool.listImages()).toHaveLength(2);
    for (const digest of digestsOf('os@2')) expect(device.pool.hasObject(digest)).toBe(true);
  });

  it('because the server has only a part of it is left for another way', async () => {
    const device = await deviceWith('os@1');
    spoil('1-2', (bytes, headSize) => bytes.subarray(0, headSize + 100));
    await device.pull('os@2');
    expect(device.notes).toHaveLength(1);
    await expectComplete(device, 'os@1', 'os@2');
  });

  it('only because the network is ends in an error, leaves what there was, and goes on another time', async () => {
    const device = await deviceWith('os@1');
    site.server.behaviour = (request, response, path) => {
      if (path !== deltas.get('1-2') || request.headers.range?.startsWith('bytes=0-')) return false;
      response.writeHead(206, { 'content-range': `${request.headers.range?.replace('=', ' ')}/9999999` });
      response.write('12345', () => response.destroy());
      return true;
    };
    await expect(device.pull('os@2')).rejects.toMatchObject({ code: 'network' });
    expect(device.notes).toEqual([]);
    expect(await device.pool.listImages()).toEqual([site.images.get('os@1')]);
    expect(await poolProblems(device.pool)).toEqual([]);
    site.server.behaviour = () => false;
    const { way } = (await device.pull('os@2')).images[0]!;
    expect(way.files).toEqual([deltas.get('1-2')]);
    await expectComplete(device, 'os@1', 'os@2');
  });
});

describe('several images', () => {
  it('come by one delta that leads to all of them', async () => {
    await site.release('app@1', { app: content('app', 1, 100_000), shared: content('shared', 0, 50_000) });
    await site.release('app@2', { app: content('app', 2, 100_000), shared: content('shared', 0, 50_000) });
    const file = await site.delta(['app@1', 'os@1'], ['app@2', 'os@2']);
    const device = await site.device();
    await device.pull('app@1', 'os@1');
    site.server.log.length = 0;
    const summary = await device.pull('app@2', 'os@2');
    await expectComplete(device, 'app@1', 'os@1', 'app@2', 'os@2');
    expect(summary.images[0]?.way.files).toEqual([file]);
    const payload = site.server.log.filter(({ path, range }) => path === file && !range?.startsWith('bytes=0-'));
    const bytes = payload.reduce((sum, each) => sum + each.bytes, 0);
    expect(bytes).toBeLessThan(readFileSync(join(site.repository.directory, file)).length * 2);
  });
});
