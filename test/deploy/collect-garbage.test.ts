/** I7: gc frees what nothing needs, and never what something needs. */
import { closeSync, cpSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { noProgress } from '../../src/core/progress.ts';
import { collectGarbage } from '../../src/deploy/collect-garbage.ts';
import { checkComplete, objectsOfImages } from '../../src/deploy/completeness.ts';
import { readConfiguration } from '../../src/deploy/configuration.ts';
import { listDeploymentIds, readDeployment } from '../../src/deploy/deployment.ts';
import { DeviceRoot } from '../../src/deploy/device.ts';
import { makeCurrent, readLinks } from '../../src/deploy/links.ts';
import { unmountStack } from '../../src/deploy/live.ts';
import { pin } from '../../src/deploy/pins.ts';
import { TestDevice } from '../helpers/device.ts';
import { enterMountNamespace } from '../helpers/mount-namespace.ts';
import { cutAt } from '../helpers/power-cut.ts';
import { describeWith } from '../helpers/requirements.ts';
import { jsonOf, runCommand } from '../helpers/run-command.ts';
import { longText } from '../helpers/stack.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';

vi.mock('node:fs', async (original) => (await import('../helpers/power-cut.ts')).cuttable(await original()));
vi.mock('node:fs/promises', async (original) => (await import('../helpers/power-cut.ts')).cuttable(await original()));

const directory = temporaryDirectory();
const SCALE = Number(process.env.OSUPD_TEST_SCALE ?? 1);
let counter = 0;

/** A tree with one object of its own and one that neighbouring versions share. */
function tree(version: number) {
  return {
    'usr/bin/program': longText(`program ${version}`),
    'usr/lib/shared': longText(`shared ${Math.floor(version / 2)}`),
  };
}

/** Deployments of versions 1 to `versions`, each switched to in turn. */
async function deviceWith(versions: number, configuration = ''): Promise<{ device: TestDevice; ids: string[] }> {
  const device = await TestDevice.create(directory, configuration);
  const ids: string[] = [];
  for (let version = 1; version <= versions; version++) {
    const { id } = await device.deploy([device.image('os', `${version}`, tree(version))]);
    await makeCurrent(device.root, 'system', id, () => {});
    ids.push(id);
  }
  return { device, ids };
}

function gc(root: DeviceRoot, dryRun = false) {
  return collectGarbage(root, readConfiguration({ root: root.directory }), { dryRun, progress: noProgress });
}

/** Every deployment that is left is complete, and nothing is in the pool that none of them needs. */
async function expectExact(root: DeviceRoot, stacks: readonly string[] = ['system']): Promise<void> {
  const digests = stacks.flatMap((stack) =>
    listDeploymentIds(root, stack).flatMap((id) => readDeployment(root, stack, id).images.map(({ digest }) => digest)),
  );
  const needed = await objectsOfImages(root.pool, digests);
  for (const stack of stacks) {
    for (const id of listDeploymentIds(root, stack))
      await checkComplete(root.pool, readDeployment(root, stack, id).images, { verify: true, progress: noProgress });
  }
  expect(await root.pool.listImages()).toEqual([...new Set(digests)].sort());
  const objects = [];
  for await (const { digest } of root.pool.listObjects()) objects.push(digest);
  expect(objects).toEqual(needed.map(({ digest }) => digest).sort());
}

async function copyOf(root: DeviceRoot): Promise<DeviceRoot> {
  const copy = join(directory, `copy-${++counter}`);
  cpSync(root.directory, copy, { recursive: true, verbatimSymlinks: true });
  return DeviceRoot.open(copy);
}

describe('osupd gc', () => {
  it('removes deployments beyond the rollback, and what only they needed', async () => {
    const { device, ids } = await deviceWith(4);
    expect(await jsonOf(['gc', '--root', device.directory])).toEqual({
      dryRun: false,
      deployments: [
        { stack: 'system', id: ids[0] },
        { stack: 'system', id: ids[1] },
      ],
      // Of versions 1 and 2: two programs and what only version 1 shares.
      freed: { images: { count: 2, bytes: 2 * 16_384 }, objects: { count: 3, bytes: 27_000 } },
    });
    expect(listDeploymentIds(device.root, 'system')).toEqual(ids.slice(2));
    await expectExact(device.root);
    const again = await runCommand(['gc', '--root', device.directory]);
    expect(again).toMatchObject({ status: 0, stdout: 'removed 0 images and 0 objects, freed 0 B\n' });
  });

  it('says with --dry-run what it would remove, and removes nothing', async () => {
    const { device, ids } = await deviceWith(3);
    const { stdout } = await runCommand(['gc', '--dry-run', '--root', device.directory]);
    expect(stdout).toBe(
      `would remove deployment system/${ids[0]}\nwould remove 1 image and 2 objects, which would free 34.4 kB\n`,
    );
    expect(listDeploymentIds(device.root, 'system')).toEqual(ids);
    await expectExact(device.root);
  });

  it('keeps what is next, what is pinned, and as many old ones as configured', async () => {
    const { device, ids } = await deviceWith(6, 'keep = 2\n');
    pin(device.root, 'system', ids[0]!);
    const { id: next } = await device.deploy([device.image('os', '7', tree(7))]);
    await gc(device.root);
    expect(listDeploymentIds(device.root, 'system')).toEqual([ids[0], ids[3], ids[4], ids[5], next]);
    await expectExact(device.root);
  });

  it('keeps what another stack needs, also one that is not configured', async () => {
    const { device } = await deviceWith(3);
    await device.deploy([device.image('os', '1', tree(1))], 'other');
    await gc(device.root);
    await expectExact(device.root, ['other', 'system']);
    expect(listDeploymentIds(device.root, 'other')).toHaveLength(1);
  });

  it('frees what an abandoned pull has brought, objects and images alike', async () => {
    const { device } = await deviceWith(1);
    device.image('os', '9', tree(9));
    for (const name of ['deployment', 'downloads']) mkdirSync(join(device.root.pool.stagingDirectory, name));
    await gc(device.root);
    await expectExact(device.root);
    expect(readdirSync(device.root.pool.stagingDirectory).filter((name) => name !== 'lock')).toEqual([]);
  });

  it('does not run beside a pull', async () => {
    const { device } = await deviceWith(3);
    const lock = device.root.lock();
    expect((await runCommand(['gc', '--root', device.directory])).status).toBe(8);
    lock.release();
  });

  it('removes nothing at all when it cannot know what is needed', async () => {
    const { device, ids } = await deviceWith(3);
    const place = device.root.deploymentDirectory('system', ids[2]!);
    const json = readFileSync(join(place, 'deployment.json'));
    const images = await device.root.pool.listImages();
    writeFileSync(join(place, 'deployment.json'), 'torn');
    expect((await runCommand(['gc', '--root', device.directory])).status).toBe(10);
    writeFileSync(join(place, 'deployment.json'), json);
    const image = device.root.pool.imagePath(readDeployment(device.root, 'system', ids[2]!).images[0]!.digest);
    const bytes = readFileSync(image);
    writeFileSync(image, bytes.subarray(0, 5000));
    expect((await runCommand(['gc', '--root', device.directory])).status).toBe(10);
    rmSync(image);
    expect((await runCommand(['gc', '--root', device.directory])).status).toBe(10);
    writeFileSync(image, bytes);
    expect(listDeploymentIds(device.root, 'system')).toEqual(ids);
    expect(await device.root.pool.listImages()).toEqual(images);
  });

  it('cut at any moment, it leaves every deployment whole, and the next one frees the rest', async () => {
    const { device } = await deviceWith(4);
    for (let step = 0; ; step++) {
      const root = await copyOf(device.root);
      const cut = await cutAt(step, () => gc(root));
      const links = readLinks(root, 'system');
      expect(links).toEqual(readLinks(device.root, 'system'));
      for (const id of listDeploymentIds(root, 'system'))
        await checkComplete(root.pool, readDeployment(root, 'system', id).images, {
          verify: true,
          progress: noProgress,
        });
      await gc(root);
      await expectExact(root);
      if (!cut) break;
    }
  });

  it('keeps exactly what is needed, whatever happened before', async () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('deploy'), version: fc.integer({ min: 1, max: 6 }) }),
      fc.record({
        kind: fc.constantFrom('switch', 'rollback', 'pin', 'gc', 'strays'),
        version: fc.integer({ min: 1, max: 6 }),
      }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 14 }), async (steps) => {
        const device = await TestDevice.create(directory);
        const { root } = device;
        for (const { kind, version } of steps) {
          const links = readLinks(root, 'system');
          const ids = listDeploymentIds(root, 'system');
          const target = kind === 'switch' ? links.next : links.rollback;
          if (kind === 'deploy') await device.deploy([device.image('os', `${version}`, tree(version))]);
          else if (kind === 'pin' && ids.length > 0) pin(root, 'system', ids[version % ids.length]!);
          else if (kind === 'strays') device.image('os', '9', tree(version));
          else if (kind === 'gc') await gc(root);
          else if (target !== undefined) await makeCurrent(root, 'system', target, () => {});
        }
        const links = readLinks(root, 'system');
        await gc(root);
        expect(readLinks(root, 'system')).toEqual(links);
        await expectExact(root);
      }),
      { numRuns: 20 * SCALE },
    );
  });
});

describeWith(['root'], 'osupd gc and mounted stacks', () => {
  beforeAll(() => enterMountNamespace());

  it('keeps what is mounted, whatever the links say', async () => {
    const { device, ids } = await deviceWith(1);
    await runCommand(['activate', '--root', device.directory]);
    for (const version of [2, 3, 4]) {
      const { id } = await device.deploy([device.image('os', `${version}`, tree(version))]);
      await makeCurrent(device.root, 'system', id, () => {});
    }
    await gc(device.root);
    expect(listDeploymentIds(device.root, 'system')[0]).toBe(ids[0]);
    expect(readFileSync(join(device.mountpoint, 'usr/bin/program'), 'utf8')).toBe(longText('program 1'));
    unmountStack(device.mountpoint);
    await gc(device.root);
    await expectExact(device.root);
    expect(listDeploymentIds(device.root, 'system')).toHaveLength(2);
  });

  it('keeps what a process still has open of a stack that was switched away, and frees it when it is closed', async () => {
    const { device, ids } = await deviceWith(1);
    await runCommand(['activate', '--root', device.directory]);
    const open = openSync(join(device.mountpoint, 'usr'), 'r');
    for (const version of [2, 3]) {
      await device.deploy([device.image('os', `${version}`, tree(version))]);
      await runCommand(['switch', '--root', device.directory]);
    }
    const image = device.image('os', '1', tree(1));
    await gc(device.root);
    // Its deployment went with time, its image and objects stay for the process.
    expect(listDeploymentIds(device.root, 'system')).not.toContain(ids[0]);
    expect(readFileSync(`/proc/self/fd/${open}/bin/program`, 'utf8')).toBe(longText('program 1'));
    expect(device.root.pool.hasImage(image.digest)).toBe(true);
    closeSync(open);
    await gc(device.root);
    expect(device.root.pool.hasImage(image.digest)).toBe(false);
    await expectExact(device.root);
    unmountStack(device.mountpoint);
  });
});
