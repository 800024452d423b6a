import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, readlinkSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { deployImages, listDeployments, readDeployment, removeDeployment } from '../../src/deploy/deployment.ts';
import { DeviceRoot } from '../../src/deploy/device.ts';
import { makeCurrent, readLinks } from '../../src/deploy/links.ts';
import { at, fakeImage, newDevice, ORIGIN } from '../helpers/device.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';

const directory = temporaryDirectory();

describe('a device root', () => {
  it('is made once and opened again; its contents are for root alone', async () => {
    const device = await newDevice(directory);
    expect(await DeviceRoot.create(device.directory)).toEqual(device);
    expect(await DeviceRoot.open(device.directory)).toEqual(device);
    const modes = execFileSync('stat', [
      '-c',
      '%a',
      join(device.directory, 'objects'),
      join(device.directory, 'images'),
    ]);
    expect(modes.toString()).toBe('700\n700\n');
  });

  it('that was never made says how to make it', async () => {
    await expect(DeviceRoot.open(directory)).rejects.toMatchObject({
      code: 'not-found',
      remedy: expect.stringContaining('osupd init'),
    });
  });

  it('gives no path out of itself', async () => {
    const device = await newDevice(directory);
    for (const name of ['..', '../x', '.', '', 'a/b', 'A', '\0']) {
      expect(() => device.linkPath('current', name)).toThrow(expect.objectContaining({ code: 'usage' }));
      expect(() => device.pinsDirectory(name)).toThrow(expect.objectContaining({ code: 'usage' }));
      expect(() => device.deploymentDirectory(name, '1-0123456789ab')).toThrow(
        expect.objectContaining({ code: 'usage' }),
      );
      expect(() => device.deploymentDirectory('system', name)).toThrow(expect.objectContaining({ code: 'usage' }));
    }
  });

  it('is changed by one at a time', async () => {
    const device = await newDevice(directory);
    const lock = device.lock();
    expect(() => device.lock()).toThrow(expect.objectContaining({ code: 'busy' }));
    lock.release();
    device.lock().release();
  });
});

describe('deploying images', () => {
  it('makes a deployment and names it next', async () => {
    const device = await newDevice(directory);
    const images = [await fakeImage(device, 'kiosk', '1.0'), await fakeImage(device, 'os', '12')];
    const made = await deployImages(device, 'system', images, ORIGIN, at(1), { arguments: ['quiet', 'ro'] });
    expect(made).toEqual({
      schema: 'osupd-deployment/1',
      id: expect.stringMatching(/^1-[0-9a-f]{12}$/),
      stack: 'system',
      images,
      createdAt: at(1),
      origin: ORIGIN,
      arguments: ['quiet', 'ro'],
    });
    expect(readLinks(device, 'system')).toEqual({ next: made.id });
    expect(listDeployments(device, 'system')).toEqual([made]);
    expect(readlinkSync(device.linkPath('next', 'system'))).toBe(`../deployments/system/${made.id}`);
  });

  it('notes where it came from without passwords and tokens', async () => {
    const device = await newDevice(directory);
    const images = [await fakeImage(device, 'os', '1')];
    const origin = { url: 'https://me:secret@updates.example/os?token=secret', channel: 'stable' };
    const { id } = await deployImages(device, 'system', images, origin, at(1));
    expect(readDeployment(device, 'system', id).origin).toEqual({
      url: 'https://updates.example/os',
      channel: 'stable',
    });
  });

  it('writes files that a shell can read', async () => {
    const device = await newDevice(directory);
    const images = [await fakeImage(device, 'kiosk', '1.0~rc1'), await fakeImage(device, 'os', '12')];
    await deployImages(device, 'system', images, ORIGIN, at(1), { arguments: ['quiet', 'ro'] });
    const script = `
      read -r magic version; [ "$magic $version" = "osupd-stack 1" ] || exit 1
      while read -r kind digest name version; do echo "$kind:$name:$version:$digest"; done`;
    const file = readFileSync(join(device.linkPath('next', 'system'), 'stack'));
    expect(execFileSync('sh', ['-c', script], { input: file, encoding: 'utf8' })).toBe(
      `image:kiosk:1.0~rc1:${images[0]?.digest}\nimage:os:12:${images[1]?.digest}\n`,
    );
    expect(readFileSync(join(device.linkPath('next', 'system'), 'arguments'), 'utf8')).toBe('quiet ro\n');
  });

  it('changes nothing when the same is next already', async () => {
    const device = await newDevice(directory);
    const images = [await fakeImage(device, 'os', '1')];
    const first = await deployImages(device, 'system', images, ORIGIN, at(1));
    const again = await deployImages(device, 'system', images, { url: 'file:///elsewhere', channel: 'beta' }, at(2));
    expect(again).toEqual(first);
    expect(listDeployments(device, 'system')).toEqual([first]);
  });

  it('leaves nothing next when the current deployment is what is wanted', async () => {
    const device = await newDevice(directory);
    const [one, two] = [[await fakeImage(device, 'os', '1')], [await fakeImage(device, 'os', '2')]];
    const first = await deployImages(device, 'system', one, ORIGIN, at(1));
    await makeCurrent(device, 'system', first.id, () => {});
    await deployImages(device, 'system', two, ORIGIN, at(2));
    expect(await deployImages(device, 'system', one, ORIGIN, at(3))).toEqual(first);
    expect(readLinks(device, 'system')).toEqual({ current: first.id });
  });

  it('uses an old deployment of the same images again', async () => {
    const device = await newDevice(directory);
    const [one, two] = [[await fakeImage(device, 'os', '1')], [await fakeImage(device, 'os', '2')]];
    const first = await deployImages(device, 'system', one, ORIGIN, at(1));
    await makeCurrent(device, 'system', first.id, () => {});
    const second = await deployImages(device, 'system', two, ORIGIN, at(2));
    await makeCurrent(device, 'system', second.id, () => {});
    expect(await deployImages(device, 'system', one, ORIGIN, at(3))).toEqual(first);
    expect(readLinks(device, 'system')).toEqual({ current: second.id, next: first.id, rollback: first.id });
  });

  it('tells apart the same images under another version or with other arguments', async () => {
    const device = await newDevice(directory);
    const image = await fakeImage(device, 'os', '1');
    const ids = [
      (await deployImages(device, 'system', [image], ORIGIN, at(1))).id,
      (await deployImages(device, 'system', [{ ...image, version: '1.1' }], ORIGIN, at(2))).id,
      (await deployImages(device, 'system', [image], ORIGIN, at(3), { arguments: ['quiet'] })).id,
    ];
    expect(ids.map((id) => Number.parseInt(id, 10))).toEqual([1, 2, 3]);
  });

  it('never names an image that is not in the pool', async () => {
    const device = await newDevice(directory);
    const image = await fakeImage(device, 'os', '1');
    rmSync(device.pool.imagePath(image.digest));
    await expect(deployImages(device, 'system', [image], ORIGIN, at(1))).rejects.toMatchObject({
      code: 'damaged-store',
      facts: { image: image.digest },
    });
    expect(readLinks(device, 'system')).toEqual({});
  });

  it('refuses a stack of no images and a name that is none', async () => {
    const device = await newDevice(directory);
    await expect(deployImages(device, 'system', [], ORIGIN, at(1))).rejects.toMatchObject({ code: 'usage' });
    const image = await fakeImage(device, 'os', '1');
    await expect(deployImages(device, '../x', [image], ORIGIN, at(1))).rejects.toMatchObject({ code: 'usage' });
  });
});

describe('reading deployments', () => {
  async function deployed() {
    const device = await newDevice(directory);
    const deployment = await deployImages(device, 'system', [await fakeImage(device, 'os', '1')], ORIGIN, at(1));
    return { device, deployment, place: device.deploymentDirectory('system', deployment.id) };
  }

  it('refuses files that do not say the same', async () => {
    const { device, deployment, place } = await deployed();
    writeFileSync(join(place, 'stack'), 'osupd-stack 1\n');
    expect(() => readDeployment(device, 'system', deployment.id)).toThrow(
      expect.objectContaining({ code: 'damaged-store', where: place, remedy: expect.stringContaining('undeploy') }),
    );
  });

  it('refuses a deployment that was changed or put in another place', async () => {
    const { device, deployment, place } = await deployed();
    const json = readFileSync(join(place, 'deployment.json'), 'utf8');
    writeFileSync(join(place, 'deployment.json'), json.slice(0, -10));
    expect(() => readDeployment(device, 'system', deployment.id)).toThrow(
      expect.objectContaining({ code: 'damaged-store' }),
    );
    writeFileSync(join(place, 'deployment.json'), json);
    const moved = `7-${deployment.id.slice(2)}`;
    renameSync(place, device.deploymentDirectory('system', moved));
    expect(() => readDeployment(device, 'system', moved)).toThrow(/holds deployment system\/1-/);
  });

  it('passes over what osupd never made', async () => {
    const { device, deployment } = await deployed();
    mkdirSync(join(device.deploymentsDirectory('system'), 'notes'));
    expect(listDeployments(device, 'system')).toEqual([deployment]);
    expect(listDeployments(device, 'other')).toEqual([]);
  });

  it('takes a link to a deployment that is gone for none', async () => {
    const { device, place } = await deployed();
    rmSync(place, { recursive: true });
    expect(readLinks(device, 'system')).toEqual({});
  });
});

describe('removing a deployment', () => {
  it('takes its names with it and leaves the images', async () => {
    const device = await newDevice(directory);
    const image = await fakeImage(device, 'os', '1');
    const { id } = await deployImages(device, 'system', [image], ORIGIN, at(1));
    removeDeployment(device, 'system', id);
    expect(readLinks(device, 'system')).toEqual({});
    expect(readdirSync(join(device.directory, 'next'))).toEqual([]);
    expect(listDeployments(device, 'system')).toEqual([]);
    expect(device.pool.hasImage(image.digest)).toBe(true);
  });
});
