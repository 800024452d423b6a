/** I4 with the kernel: a command is killed at each call that changes links or mounts, and the next command goes on from there. */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterEach, beforeAll, expect, it } from 'vitest';
import { readLinks, type StackLinks } from '../../src/deploy/links.ts';
import { unmountStack } from '../../src/deploy/live.ts';
import { readMounts } from '../../src/sys/mountinfo.ts';
import { TestDevice } from '../helpers/device.ts';
import { CHANGING_CALLS, killBefore } from '../helpers/kill.ts';
import { enterMountNamespace } from '../helpers/mount-namespace.ts';
import { describeWith } from '../helpers/requirements.ts';
import { runCommand } from '../helpers/run-command.ts';
import { longText } from '../helpers/stack.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';

const directory = temporaryDirectory();

const MAIN = resolve(import.meta.dirname, '../../src/cli/main.ts');
const CODE = `import { main } from ${JSON.stringify(MAIN)}; await main();`;

/** Kills a command before each of its calls in turn, each time on a new device. Returns how often. */
async function killEverywhere(
  name: string,
  prepare: () => Promise<TestDevice>,
  check: (device: TestDevice, before: StackLinks) => Promise<void>,
): Promise<number> {
  let kills = 0;
  for (const call of CHANGING_CALLS) {
    for (let count = 1; ; count++) {
      const device = await prepare();
      const before = readLinks(device.root, 'system');
      if (!killBefore(call, count, CODE, ['osupd', name, '--root', device.directory])) break;
      kills++;
      await check(device, before);
    }
  }
  return kills;
}

/** Version 1 is in use, version 2 is next. */
async function deviceBeforeSwitch(): Promise<TestDevice> {
  const device = await TestDevice.create(directory);
  const tree = (version: number) => ({
    'usr/bin/program': longText(`program ${version}`),
    'etc/version': `${version}`,
  });
  await device.deploy([device.image('os', '1', tree(1))]);
  await command(device, 'switch');
  await device.deploy([device.image('os', '2', tree(2))]);
  return device;
}

async function command(device: TestDevice, ...args: string[]): Promise<number> {
  const { status, stderr } = await runCommand([...args, '--root', device.directory]);
  expect([0, 3], stderr).toContain(status);
  return status;
}

function versionAt(mountpoint: string): string {
  const version = readFileSync(join(mountpoint, 'etc/version'), 'utf8');
  expect(readFileSync(join(mountpoint, 'usr/bin/program'), 'utf8')).toBe(longText(`program ${version}`));
  return version;
}

function mountsOf(device: TestDevice): number {
  return readMounts().filter(({ mountpoint }) => mountpoint === device.mountpoint).length;
}

describeWith(['root', 'strace'], 'a switch of a real stack that is killed', () => {
  beforeAll(() => enterMountNamespace());
  afterEach(() => {
    for (const { mountpoint } of readMounts().reverse())
      if (mountpoint.startsWith(directory)) unmountStack(mountpoint, { lazy: true });
  });

  it('shows the old or the new deployment, and the next switch completes it', async () => {
    const kills = await killEverywhere('switch', deviceBeforeSwitch, async (device, before) => {
      const after = { current: before.next, rollback: before.current };
      expect(['1', '2']).toContain(versionAt(device.mountpoint));
      expect([before, after]).toContainEqual(readLinks(device.root, 'system'));
      await command(device, 'switch');
      expect(versionAt(device.mountpoint)).toBe('2');
      expect(readLinks(device.root, 'system')).toEqual(after);
      expect(mountsOf(device)).toBe(1);
    });
    expect(kills).toBeGreaterThanOrEqual(8);
  });

  it('a rollback goes back or stays, and activate makes the mount what the links say', async () => {
    const prepare = async () => {
      const device = await deviceBeforeSwitch();
      await command(device, 'switch');
      return device;
    };
    const kills = await killEverywhere('rollback', prepare, async (device, before) => {
      const after = { current: before.rollback, rollback: before.current };
      const left = readLinks(device.root, 'system');
      expect([before, after]).toContainEqual(left);
      await command(device, 'activate');
      expect(readLinks(device.root, 'system')).toEqual(left);
      expect(versionAt(device.mountpoint)).toBe(left.current === after.current ? '1' : '2');
      expect(mountsOf(device)).toBe(1);
    });
    expect(kills).toBeGreaterThanOrEqual(7);
  });
});
