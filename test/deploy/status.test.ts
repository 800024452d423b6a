import { readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Digest } from '../../src/core/digest.ts';
import { objectsOfImages } from '../../src/deploy/completeness.ts';
import { listDeploymentIds } from '../../src/deploy/deployment.ts';
import { makeCurrent } from '../../src/deploy/links.ts';
import { unmountStack } from '../../src/deploy/live.ts';
import type { DeviceStatus } from '../../src/deploy/status.ts';
import { at, ORIGIN, TestDevice } from '../helpers/device.ts';
import { enterMountNamespace } from '../helpers/mount-namespace.ts';
import { describeWith } from '../helpers/requirements.ts';
import { jsonOf, runCommand } from '../helpers/run-command.ts';
import { longText } from '../helpers/stack.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';

const directory = temporaryDirectory();

async function deviceWith(versions: number): Promise<{ device: TestDevice; ids: string[]; digests: string[] }> {
  const device = await TestDevice.create(directory);
  const images = Array.from({ length: versions }, (_, at) =>
    device.image('os', `${at + 1}`, { 'usr/bin/program': longText(`program ${at + 1}`) }),
  );
  const ids: string[] = [];
  for (const image of images) {
    const { id } = await device.deploy([image]);
    ids.push(id);
    if (image !== images.at(-1)) await makeCurrent(device.root, 'system', id, () => {});
  }
  return { device, ids, digests: images.map(({ digest }) => digest) };
}

async function statusText(device: TestDevice): Promise<string> {
  const { status, stdout, stderr } = await runCommand(['status', '--root', device.directory]);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return stdout;
}

describe('osupd status', () => {
  it('lists next, current, rollback and older deployments, keys aligned to the right', async () => {
    const { device, ids, digests } = await deviceWith(4);
    await runCommand(['pin', '1', '--root', device.directory]);
    const [one, two, three, four] = ids;
    expect(await statusText(device)).toBe(`\
Stack system at ${device.mountpoint} (live switch)

  nothing is mounted here

      Next deployment: ${four}
              Version: os 4
               Digest: ${digests[3]}
          Deployed at: 2030-01-01T00:03:00Z
               Origin: https://updates.example/os (stable)

   Current deployment: ${three}
              Version: os 3
               Digest: ${digests[2]}
          Deployed at: 2030-01-01T00:02:00Z
               Origin: https://updates.example/os (stable)

  Rollback deployment: ${two}
              Version: os 2
               Digest: ${digests[1]}
          Deployed at: 2030-01-01T00:01:00Z
               Origin: https://updates.example/os (stable)

      Kept deployment: ${one}
              Version: os 1
               Digest: ${digests[0]}
          Deployed at: 2030-01-01T00:00:00Z
               Origin: https://updates.example/os (stable)
               Pinned: yes

Pool: 4 images (65.5 kB), 4 objects (36.0 kB)
Integrity: not checked on reads (no fs-verity); everything was never read
`);
  });

  it('names every image of a stack with its digest', async () => {
    const device = await TestDevice.create(directory);
    const [app, os] = [device.image('app', '7', { 'etc/app': 'x' }), device.image('os', '1', { 'etc/os': 'x' })];
    await device.deploy([app, os]);
    expect(await statusText(device)).toContain(`\
          Version: app 7, os 1
          Digests: ${app.digest} app
                   ${os.digest} os
`);
  });

  it('has a stable form as JSON', async () => {
    const { device, ids, digests } = await deviceWith(2);
    const deployment = (version: number, roles: string[]) => ({
      id: ids[version - 1],
      roles,
      inUse: false,
      pinned: false,
      images: [{ name: 'os', version: `${version}`, digest: digests[version - 1] }],
      createdAt: at(version - 1),
      origin: ORIGIN,
      arguments: [],
      damage: null,
    });
    expect(await jsonOf(['status', '--root', device.directory])).toEqual({
      schema: 'osupd-status/1',
      root: device.directory,
      url: [ORIGIN.url],
      channel: 'stable',
      stacks: [
        {
          name: 'system',
          mountpoint: device.mountpoint,
          switch: 'live',
          inUse: null,
          problem: null,
          boot: null,
          failed: [],
          deployments: [deployment(2, ['next']), deployment(1, ['current'])],
        },
      ],
      pool: { images: { count: 2, bytes: 32_768 }, objects: { count: 2, bytes: 18_000 } },
      integrity: { everyRead: false, verified: null, running: null, damaged: 0 },
    });
  });

  it('shows a stack that was never pulled, and one that is not configured any more', async () => {
    const { device } = await deviceWith(1);
    device.configure(`[stack.other]\nmountpoint = "${join(device.directory, 'mnt/other')}"\n`);
    const text = await statusText(device);
    expect(text).toContain('nothing is deployed yet: run osupd pull');
    expect(text).toContain('Stack system (not configured)\n');
  });

  it('keeps passwords and tokens of addresses to itself', async () => {
    const { device } = await deviceWith(1);
    const text = `url = "https://me:secret@updates.example/os?token=secret"\n[stack.system]\nmountpoint = "/x"\n`;
    writeFileSync(join(device.directory, 'osupd.toml'), text);
    expect(await jsonOf(['status', '--root', device.directory])).toMatchObject({ url: ['https://updates.example/os'] });
  });

  it('marks a deployment that cannot be read, and shows the others', async () => {
    const { device, ids } = await deviceWith(2);
    rmSync(join(device.root.deploymentDirectory('system', ids[0] ?? ''), 'stack'));
    const text = await statusText(device);
    expect(text).toMatch(
      new RegExp(
        `Current deployment: ${ids[0]}\n *Damaged: deployment without file "stack"; run osupd fsck --repair\n`,
      ),
    );
    expect(text).toContain(`Next deployment: ${ids[1]}\n`);
    expect((await runCommand(['undeploy', '1', '--root', device.directory])).status).toBe(0);
    expect(await statusText(device)).not.toContain('Damaged');
  });

  it('marks deployments whose images or objects are missing, cut off or known to be damaged', async () => {
    const { device, digests } = await deviceWith(3);
    const { pool } = device.root;
    const images = digests as Digest[];
    const [object] = await objectsOfImages(pool, images.slice(1, 2));
    const damages = async () => {
      const { stacks } = (await jsonOf(['status', '--root', device.directory])) as DeviceStatus;
      return stacks[0]?.deployments.map(({ damage }) => damage);
    };
    expect(await damages()).toEqual([null, null, null]);
    const path = pool.objectPath(object?.digest as Digest);
    truncateSync(path, 100);
    expect(await damages()).toEqual([null, '1 of 1 objects are missing or damaged', null]);
    rmSync(path);
    const image = pool.imagePath(images[0] as Digest);
    truncateSync(image, 5000);
    rmSync(pool.imagePath(images[2] as Digest));
    expect(await damages()).toEqual([
      'the image is missing',
      '1 of 1 objects are missing or damaged',
      'the image is damaged',
    ]);
  });

  it('marks what only reading has found, until it is repaired', async () => {
    const { device, digests } = await deviceWith(1);
    const [object] = await objectsOfImages(device.root.pool, digests as Digest[]);
    const path = device.root.pool.objectPath(object?.digest as Digest);
    const content = readFileSync(path);
    writeFileSync(path, content.toString('latin1').replace('program', 'Program'));
    expect(await statusText(device)).not.toContain('Damaged');
    expect((await runCommand(['fsck', '--root', device.directory])).status).toBe(10);
    const text = await statusText(device);
    expect(text).toContain('Damaged: 1 of 1 objects are missing or damaged; run osupd fsck --repair');
    expect(text).toContain('everything was last read at 2030-01-01T12:00:00Z; 1 known to be damaged');
    writeFileSync(path, content);
    expect((await runCommand(['fsck', '--root', device.directory])).status).toBe(0);
    expect(await statusText(device)).not.toContain('amaged');
  });

  it('without a root or a configuration says what to do', async () => {
    const { status, stderr } = await runCommand(['status', '--root', join(directory, 'absent')]);
    expect({ status, stderr }).toMatchObject({ status: 5, stderr: expect.stringContaining('osupd init') });
  });
});

describe('osupd undeploy', () => {
  it('removes a damaged deployment whatever names it has, so that the device can be mended', async () => {
    const { device, ids } = await deviceWith(1);
    const [id = ''] = ids;
    await makeCurrent(device.root, 'system', id, () => {});
    await runCommand(['pin', id, '--root', device.directory]);
    writeFileSync(join(device.root.deploymentDirectory('system', id), 'stack'), '');
    expect((await runCommand(['gc', '--root', device.directory])).status).toBe(10);
    expect((await runCommand(['undeploy', id, '--root', device.directory])).status).toBe(0);
    expect(await statusText(device)).toContain('nothing is deployed yet');
  });
});

describe('osupd status of a pool', () => {
  it('counts objects, and not what somebody else has put beside them', async () => {
    const { device } = await deviceWith(1);
    writeFileSync(join(device.root.pool.objectsDirectory, 'README'), 'hello');
    symlinkSync('nowhere', join(device.root.pool.objectsDirectory, 'dangling'));
    expect(await statusText(device)).toMatch(/^Pool: 1 image \(.*\), 1 object \(.*\)$/m);
  });
});

describeWith(['root'], 'osupd status of mounted stacks', () => {
  beforeAll(() => enterMountNamespace());

  it('marks what is really mounted, whatever the links say', async () => {
    const { device, ids } = await deviceWith(2);
    await runCommand(['switch', '--root', device.directory]);
    const lines = async () => (await statusText(device)).split('\n').filter((line) => /deployment:/.test(line));
    expect(await lines()).toEqual([`●  Current deployment: ${ids[1]}`, `  Rollback deployment: ${ids[0]}`]);
    // As if the switch back was cut off between its record and the mount.
    await makeCurrent(device.root, 'system', ids[0] ?? '', () => {});
    expect(await lines()).toEqual([`   Current deployment: ${ids[0]}`, `● Rollback deployment: ${ids[1]}`]);
    await runCommand(['activate', '--root', device.directory]);
    expect(await lines()).toEqual([`●  Current deployment: ${ids[0]}`, `  Rollback deployment: ${ids[1]}`]);
    unmountStack(device.mountpoint);
  });

  it('undeploy refuses what is current, mounted or pinned, and removes nothing then', async () => {
    const { device, ids } = await deviceWith(3);
    await runCommand(['switch', '--root', device.directory]);
    await runCommand(['pin', 'rollback', '--root', device.directory]);
    // Mounted, but not current.
    await makeCurrent(device.root, 'system', ids[0] ?? '', () => {});
    for (const [name, reason] of [
      ['1', 'the current one'],
      ['3', `mounted at ${device.mountpoint}`],
      ['2', 'pinned'],
    ] as const) {
      const { status, stderr } = await runCommand(['undeploy', name, '--root', device.directory]);
      expect({ status, stderr }).toMatchObject({ status: 2, stderr: expect.stringContaining(reason) });
    }
    await runCommand(['unpin', '2', '--root', device.directory]);
    expect((await runCommand(['undeploy', '2', '3', '--root', device.directory])).status).toBe(2);
    expect(listDeploymentIds(device.root, 'system')).toEqual(ids);
    unmountStack(device.mountpoint);
    const { stdout } = await runCommand(['undeploy', '2', '3', '--root', device.directory]);
    expect(stdout).toBe(`removed system/${ids[1]}\nremoved system/${ids[2]}\n`);
  });
});
