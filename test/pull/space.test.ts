import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { toOsupdError } from '../../src/core/errors.ts';
import { Pool } from '../../src/objects/pool.ts';
import { checkSpace, spaceFor } from '../../src/pull/space.ts';
import { freeSpace } from '../../src/sys/files.ts';
import type { ObjectReference } from '../../src/tree/references.ts';
import { mountFileSystem, unmountFileSystems } from '../helpers/file-systems.ts';
import { describeWith } from '../helpers/requirements.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';
import { poolProblems, TestSite, versionOf } from './fixture.ts';

const base = temporaryDirectory();
const object = (size: number, start = '00'): ObjectReference => ({
  digest: start.padEnd(64, '0') as ObjectReference['digest'],
  size,
});

describe('the space of a pull', () => {
  it('counts whole blocks, new directories, and what fs-verity adds', async () => {
    const pool = await Pool.create(join(base, 'pool'));
    const only = (size: number, verity: boolean) => {
      const { bytes, inodes } = spaceFor(pool, [object(size)], [], verity);
      const nothing = spaceFor(pool, [], [], verity);
      return [(bytes - nothing.bytes) / 4096, inodes - nothing.inodes];
    };
    expect(only(1, false)).toEqual([2, 2]);
    expect(only(4096, false)).toEqual([2, 2]);
    expect(only(4097, false)).toEqual([3, 2]);
    // A descriptor; above one block also the blocks of hashes over it.
    expect(only(4096, true)).toEqual([3, 2]);
    expect(only(4097, true)).toEqual([5, 2]);
    expect(only(129 * 4096, true)).toEqual([129 + 1 + 3 + 1, 2]);
    mkdirSync(join(pool.objectsDirectory, '00'));
    expect(only(1, false)).toEqual([1, 1]);
  });

  it('is refused with what is missing when there is less', async () => {
    const pool = await Pool.create(join(base, 'small'));
    const free = freeSpace(pool.directory);
    const error = toOsupdError(
      await Promise.resolve()
        .then(() => checkSpace(pool, { bytes: free.bytes * 2, inodes: 1 }))
        .catch((reason: unknown) => reason),
    );
    expect(error.code).toBe('no-space');
    expect(error.message).toMatch(/^not enough space for the update: missing \d+ bytes \(\d+ needed, \d+ free\)$/);
  });
});

describeWith(['root'], 'a full disk', () => {
  let site: TestSite;
  const mounts: string[] = [];

  beforeAll(async () => {
    site = await TestSite.create(base);
    await site.release('os@1', versionOf(1, 200, 0, 100_000));
  });
  afterAll(async () => {
    for (const mount of mounts) execFileSync('umount', ['-l', mount]);
    unmountFileSystems();
    await site.server.close();
  });

  /** A device whose pool is on a file system of its own. */
  async function deviceOn(mount: string) {
    const device = await site.device();
    rmSync(device.directory, { recursive: true });
    const directory = join(mount, 'root');
    const pool = await Pool.create(directory);
    mkdirSync(join(directory, 'trust'));
    const { copyFileSync } = await import('node:fs');
    copyFileSync(join(site.repository.directory, 'metadata/1.root.json'), join(directory, 'trust/root.json'));
    return Object.assign(device, { directory, pool });
  }

  function tmpfs(options: string): string {
    const mount = mkdtempSync(join(base, 'tmpfs-'));
    execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'osupd-test', mount]);
    mounts.push(mount);
    return mount;
  }

  it.each([
    ['bytes', 'size=10m', /missing \d+ bytes/],
    ['inodes', 'size=100m,nr_inodes=100', /missing \d+ inodes/],
  ])('is noticed before any content is fetched: %s', async (_, options, message) => {
    const device = await deviceOn(tmpfs(options));
    site.server.log.length = 0;
    const error = toOsupdError(await device.pull('os@1').catch((reason: unknown) => reason));
    expect(error.code).toBe('no-space');
    expect(error.message).toMatch(message);
    expect(site.contentRequests().filter((path) => path.startsWith('objects/'))).toEqual([]);
  });

  it('that fills up meanwhile leaves a pool that is whole', async () => {
    const device = await deviceOn(tmpfs('size=30m'));
    const filler = join(device.directory, 'filler');
    let asked = 0;
    site.server.behaviour = (_request, _response, path) => {
      if (path.startsWith('objects/') && ++asked === 20) {
        execFileSync('fallocate', ['-l', String(freeSpace(device.directory).bytes - 200_000), filler]);
      }
      return false;
    };
    const error = toOsupdError(await device.pull('os@1').catch((reason: unknown) => reason));
    expect(error.code).toBe('no-space');
    expect(await poolProblems(device.pool)).toEqual([]);
    rmSync(filler);
    site.server.behaviour = () => false;
    await device.pull('os@1');
    expect(await poolProblems(device.pool)).toEqual([]);
    expect(await device.pool.listImages()).toEqual([site.images.get('os@1')]);
  });

  it.each(['ext4', 'xfs', 'btrfs'] as const)('forecast and use on %s are near', async (type) => {
    const device = await deviceOn(mountFileSystem(base, type));
    const before = freeSpace(device.directory);
    const plan = await device.plan('os@1');
    await device.pull('os@1');
    execFileSync('sync', ['-f', device.directory]);
    const used = before.bytes - freeSpace(device.directory).bytes;
    expect(used).toBeLessThanOrEqual(plan.space.bytes);
    expect(used).toBeGreaterThan(plan.space.bytes * 0.7);
  });
});
