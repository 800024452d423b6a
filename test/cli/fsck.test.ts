import { chmodSync, readdirSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Digest } from '../../src/core/digest.ts';
import { Pool } from '../../src/objects/pool.ts';
import { problemsOf } from '../helpers/pools.ts';
import { runCommand } from '../helpers/run-command.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';
import { TestSite, versionOf } from '../pull/fixture.ts';

const base = temporaryDirectory();
const root = join(base, 'root');
let site: TestSite;
let pool: Pool;
let image: Digest;

const fsck = (...args: string[]) => runCommand(['fsck', '--root', root, ...args]);

beforeAll(async () => {
  site = await TestSite.create(base);
  await site.release('os@1', versionOf(1, 12, 0));
  await site.channel('os@1');
  const trust = join(site.repository.directory, 'metadata/1.root.json');
  for (const args of [['init', '--url', site.server.url, '--trust', trust], ['pull']]) {
    const { status, stderr } = await runCommand([...args, '--root', root]);
    expect({ status, stderr }).toMatchObject({ status: 0 });
  }
  pool = await Pool.open(root);
  image = site.images.get('os@1') as Digest;
});
afterAll(() => site.server.close());
beforeEach(() => site.server.log.splice(0));

describe('osupd fsck --repair on a device', () => {
  it('asks the repository for nothing when all is good', async () => {
    expect(await fsck('--repair')).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('1 images, 12 objects'),
    });
    expect(site.server.log).toEqual([]);
  });

  it('fetches the damaged and missing objects, and no other', async () => {
    const [changed, truncated, missing, misplaced, mode] = (await Array.fromAsync(pool.listObjects())).map(
      ({ digest }) => digest,
    ) as [Digest, Digest, Digest, Digest, Digest];
    writeFileSync(pool.objectPath(changed), 'x'.repeat(20_000));
    truncateSync(pool.objectPath(truncated), 5);
    rmSync(pool.objectPath(missing));
    renameSync(pool.objectPath(misplaced), join(pool.objectsDirectory, misplaced));
    chmodSync(pool.objectPath(mode), 0o777);
    const { status, stderr } = await fsck();
    expect(status).toBe(10);
    expect(stderr).toContain('osupd fsck --repair');
    expect(site.server.log).toEqual([]);
    expect((await fsck('--repair')).status).toBe(0);
    const fetched = site.contentRequests().filter((path) => path.startsWith('objects/'));
    expect(fetched.map((path) => path.replace(/^objects\/|\/|\.zst$/g, '')).sort()).toEqual(
      [changed, truncated, missing].sort(),
    );
    expect(await problemsOf(pool, [image])).toEqual([]);
  });

  it('brings back an image that a deployment needs, and the objects that only it can name', async () => {
    rmSync(pool.imagePath(image));
    const [first] = await Array.fromAsync(pool.listObjects());
    rmSync(pool.objectPath(first?.digest as Digest));
    expect((await fsck()).stdout).toContain(`missing-image  images/${image}`);
    expect((await fsck('--repair')).status).toBe(0);
    expect(await problemsOf(pool, [image])).toEqual([]);
  });

  it('leaves what is not of osupd, and says so', async () => {
    const stray = join(pool.objectsDirectory, 'stray');
    writeFileSync(stray, '');
    const { status, stdout, stderr } = await fsck('--repair', '--json');
    expect(status).toBe(10);
    expect(JSON.parse(stdout).problems).toMatchObject([{ type: 'foreign-file', path: 'objects/stray' }]);
    expect(JSON.parse(stderr).error).toMatchObject({ code: 'damaged-store', facts: { 'foreign-file': 1 } });
    expect(readdirSync(pool.objectsDirectory)).toContain('stray');
    rmSync(stray);
  });

  it('takes another repository to fetch from', async () => {
    const [first] = await Array.fromAsync(pool.listObjects());
    rmSync(pool.objectPath(first?.digest as Digest));
    expect((await fsck('--repair', '--from', site.repository.directory)).status).toBe(0);
    expect(site.server.log).toEqual([]);
  });
});
