import { expect, it, vi } from 'vitest';
import { OsupdError } from '../../src/core/errors.ts';
import { switchLive } from '../../src/deploy/live.ts';
import { kernelIsAtLeast } from '../../src/deploy/mount-features.ts';
import { mountOverlay } from '../../src/deploy/overlay-mount.ts';
import type { MountEntry } from '../../src/sys/mountinfo.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';

/** What uname says, and what mount calls do: always EINVAL, as kernels answer to what they do not know. */
const kernel = vi.hoisted(() => ({ release: '', attached: [] as MountEntry[] }));

vi.mock('node:os', async (original) => ({ ...(await original<object>()), release: () => kernel.release }));

vi.mock('../../src/sys/mount.ts', async (original) => {
  const refuse = () => {
    throw new OsupdError('io', 'refused', { facts: { errno: 'EINVAL' } });
  };
  return {
    ...(await original<object>()),
    createMount: refuse,
    mountAt: refuse,
    attachMount: refuse,
    cloneMount: refuse,
  };
});

vi.mock('../../src/sys/mountinfo.ts', () => ({ mountsAt: () => kernel.attached, readMounts: () => kernel.attached }));

const directory = temporaryDirectory();

it('versions of kernels are compared by number', () => {
  for (const [release, version, expected] of [
    ['6.18.44-fc', '6.5', true],
    ['6.5.0', '6.5', true],
    ['6.1.0-18-amd64', '6.5', false],
    ['5.15', '6.5', false],
    ['10.0.1', '6.12', true],
  ] as const) {
    kernel.release = release;
    expect(kernelIsAtLeast(version), release).toBe(expected);
  }
});

it('a kernel without data-only layers, or without verity=require, is unsupported, with what it lacks and since when', () => {
  const request = { layers: [], pool: directory, source: 'osupd', without: new Set<never>() };
  kernel.release = '6.1.0-18-amd64';
  expect(() => mountOverlay({ ...request, requireVerity: false })).toThrow(
    expect.objectContaining({
      code: 'unsupported',
      message: expect.stringMatching(/6\.1\.0.*data-only layers needs Linux 6\.5/),
    }),
  );
  kernel.release = '6.5.13';
  expect(() => mountOverlay({ ...request, requireVerity: true })).toThrow(
    expect.objectContaining({ code: 'unsupported', facts: expect.objectContaining({ since: '6.6' }) }),
  );
  // A kernel that should be able to: the error is what it said.
  expect(() => mountOverlay({ ...request, requireVerity: false })).toThrow(
    expect.objectContaining({ message: 'refused' }),
  );
});

it('a kernel that cannot mount beneath is unsupported, and the remedy is the switch at the start', () => {
  const stack = {
    id: 9,
    parent: 1,
    root: '/',
    mountpoint: directory,
    type: 'overlay',
    source: 'osupd:k:1-0',
    options: [],
  };
  const covered = { ...stack, id: 1, parent: 0, type: 'ext4', source: '/dev/vda' };
  kernel.attached = [stack, covered];
  for (const [release, facts] of [
    [
      '6.1.0-18-amd64',
      { feature: expect.stringContaining('MOVE_MOUNT_BENEATH'), since: '6.5', kernel: '6.1.0-18-amd64' },
    ],
    ['6.12.1', { errno: 'EINVAL' }],
  ] as const) {
    kernel.release = release;
    const disposed = vi.fn();
    const mounted = { mount: -1, verity: false, identity: undefined, [Symbol.dispose]: disposed };
    expect(() => switchLive(directory, mounted)).toThrow(
      expect.objectContaining({ code: 'unsupported', facts, remedy: expect.stringContaining('switch = "boot"') }),
    );
    expect(disposed).toHaveBeenCalledOnce();
  }
});
