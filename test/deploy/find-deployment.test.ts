import { describe, expect, it } from 'vitest';
import { deployImages } from '../../src/deploy/deployment.ts';
import { findDeployment } from '../../src/deploy/find-deployment.ts';
import { makeCurrent } from '../../src/deploy/links.ts';
import { pin, readPins, unpin } from '../../src/deploy/pins.ts';
import { at, fakeImage, newDevice, ORIGIN } from '../helpers/device.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';

const directory = temporaryDirectory();

async function deviceWith(stacks: readonly string[]) {
  const device = await newDevice(directory);
  const images = [await fakeImage(device, 'os', '1'), await fakeImage(device, 'os', '2')];
  const ids: string[] = [];
  for (const image of images) {
    for (const stack of stacks) {
      const { id } = await deployImages(device, stack, [image], ORIGIN, at(1));
      if (image === images[0]) await makeCurrent(device, stack, id, () => {});
      if (stack === stacks[0]) ids.push(id);
    }
  }
  return { device, first: ids[0] ?? '', second: ids[1] ?? '' };
}

describe('naming a deployment', () => {
  it('by ID, by number, by role, with the stack or without', async () => {
    const { device, first, second } = await deviceWith(['system']);
    for (const text of [first, '1', 'current', `system/${first}`, 'system/1', 'system/current']) {
      expect(findDeployment(device, text)).toEqual({ stack: 'system', id: first });
    }
    expect(findDeployment(device, 'next', 'system')).toEqual({ stack: 'system', id: second });
  });

  it('asks for the stack where several have it', async () => {
    const { device, first } = await deviceWith(['a', 'b']);
    expect(() => findDeployment(device, first)).toThrow(
      expect.objectContaining({ code: 'usage', remedy: `name one of a/${first}, b/${first}` }),
    );
    expect(findDeployment(device, `b/${first}`)).toEqual({ stack: 'b', id: first });
    expect(findDeployment(device, 'current', 'a')).toEqual({ stack: 'a', id: first });
  });

  it('says what there is when nothing fits', async () => {
    const { device, first, second } = await deviceWith(['system']);
    for (const text of ['3', 'rollback', 'other/1', '../1', '', 'system/']) {
      expect(() => findDeployment(device, text)).toThrow(expect.objectContaining({ code: 'not-found' }));
    }
    expect(() => findDeployment(device, '3')).toThrow(
      expect.objectContaining({ remedy: `there are system/${first}, system/${second}` }),
    );
    expect(() => findDeployment(device, '3', 'other')).toThrow(
      expect.objectContaining({ remedy: expect.stringContaining('osupd pull') }),
    );
  });
});

describe('pins', () => {
  it('are put and taken away, each once', async () => {
    const { device, first } = await deviceWith(['system']);
    expect(readPins(device, 'system')).toEqual(new Set());
    expect(pin(device, 'system', first)).toBe(true);
    expect(pin(device, 'system', first)).toBe(false);
    expect(readPins(device, 'system')).toEqual(new Set([first]));
    expect(unpin(device, 'system', first)).toBe(true);
    expect(unpin(device, 'system', first)).toBe(false);
    expect(readPins(device, 'system')).toEqual(new Set());
  });
});
