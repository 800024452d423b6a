import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { attachedStack, finishInterruptedSwitch, switchLive, unmountStack } from '../../src/deploy/live.ts';
import { type MountedStack, mountStack } from '../../src/deploy/stack-mount.ts';
import { attachMount } from '../../src/sys/mount.ts';
import { mountsAt, readMounts } from '../../src/sys/mountinfo.ts';
import { enterMountNamespace } from '../helpers/mount-namespace.ts';
import { Reader } from '../helpers/readers.ts';
import { describeWith } from '../helpers/requirements.ts';
import { WaitingShell } from '../helpers/shell.ts';
import { longText, TestPool } from '../helpers/stack.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';

const SCALE = Number(process.env.OSUPD_TEST_SCALE ?? 1);
/** Switches under eight readers; 500 in the long form. */
const SWITCHES = Math.min(60 * SCALE, 500);
/** Switches that are cut short by SIGKILL. */
const KILLS = Math.min(8 * SCALE, 200);

const SWITCHER = new URL('../helpers/switcher.ts', import.meta.url).pathname;
const directory = temporaryDirectory();
let pool: TestPool;
let number = 0;

function newMountpoint(): string {
  const path = join(directory, `mnt-${number++}`);
  mkdirSync(path);
  return path;
}

/** A stack of two images whose files say one version: `a` is in the upper one, `b` in the lower. */
function mountVersion(version: number): MountedStack {
  const text = longText(`${version} `);
  const images = [pool.addImage({ a: text, data: DIRECTORY }), pool.addImage({ b: text, 'lower/file': text })];
  return mountStack({ images, pool: pool.objects, verity: 'off', identity: identity(version) });
}

const DIRECTORY = { type: 'directory' } as const;
const identity = (version: number) => ({ stack: 'kiosk', deployment: `${version}-0123456789ab` });
const versionAt = (root: string) => Number.parseInt(readFileSync(join(root, 'a'), 'latin1'), 10);

describeWith(['root', 'unshare'], 'a live switch', () => {
  beforeAll(() => {
    // As systemd sets it up: other namespaces see what is mounted here.
    enterMountNamespace('shared');
    pool = new TestPool(directory);
  });

  afterAll(() => {
    const left = readMounts().filter(({ mountpoint }) => mountpoint.startsWith(`${directory}/`));
    expect(left).toEqual([]);
  });

  it(`is seen by no reader: ${SWITCHES} switches under eight processes, two of them in namespaces of their own`, async () => {
    const root = newMountpoint();
    expect(switchLive(root, mountVersion(0))).toBeUndefined();
    const namespaces = [...Array(6).fill('same'), 'slave', 'slave'] as const;
    const readers = await Promise.all(namespaces.map((namespace) => Reader.start(root, namespace)));
    for (let version = 1; version <= SWITCHES; version++) {
      expect(switchLive(root, mountVersion(version))).toEqual({ identity: identity(version - 1) });
      expect(mountsAt(root)).toHaveLength(1);
      await pause(10);
    }
    const reports = await Promise.all(readers.map((reader) => reader.stop()));
    expect(reports.flatMap(({ problems }) => problems)).toEqual([]);
    expect(reports.map(({ last }) => last)).toEqual(Array(8).fill(SWITCHES));
    expect(Math.min(...reports.map(({ changes }) => changes))).toBeGreaterThan(1);
    expect(readMounts().filter(({ mountpoint }) => mountpoint === root)).toHaveLength(1);
    unmountStack(root);
  }, 600_000);

  it('leaves a process in a private namespace with what it had', async () => {
    const root = newMountpoint();
    switchLive(root, mountVersion(1));
    const reader = await Reader.start(root, 'private');
    switchLive(root, mountVersion(2));
    unmountStack(root, { lazy: true });
    expect(await reader.stop()).toMatchObject({ last: 1, changes: 1, problems: [] });
  });

  it('leaves open files, directories, and programs that run as they were', async () => {
    const root = newMountpoint();
    switchLive(root, mountVersion(1));
    const file = openSync(join(root, 'a'), 'r');
    const shell = await WaitingShell.start({ cwd: root, after: 'cat b lower/file' });
    switchLive(root, mountVersion(2));
    expect(readFileSync(file, 'latin1')).toBe(longText('1 '));
    expect(versionAt(root)).toBe(2);
    // Files that the process had not opened before the switch, by its working directory.
    expect(await shell.finish()).toBe(longText('1 ') + longText('1 '));
    closeSync(file);
    unmountStack(root);
  });

  it('that was interrupted between its two steps is finished by the next', () => {
    const root = newMountpoint();
    switchLive(root, mountVersion(1));
    expect(finishInterruptedSwitch(root)).toBe(false);
    {
      using mounted = mountVersion(2);
      attachMount(mounted.mount, root, { beneath: true });
    }
    // As a crash leaves it: the old one still shows.
    expect(attachedStack(root)).toEqual({ identity: identity(1) });
    expect(finishInterruptedSwitch(root)).toBe(true);
    expect(attachedStack(root)).toEqual({ identity: identity(2) });
    {
      using mounted = mountVersion(3);
      attachMount(mounted.mount, root, { beneath: true });
    }
    expect(switchLive(root, mountVersion(4))).toEqual({ identity: identity(3) });
    expect(mountsAt(root)).toHaveLength(1);
    expect(versionAt(root)).toBe(4);
    unmountStack(root);
  });

  it(`that is killed at any instant leaves a stack that shows, and nothing that the next does not clear up: ${KILLS} times`, async () => {
    const root = newMountpoint();
    const images = [1, 2].map((version) => pool.addImage({ a: longText(`${version} `) }));
    switchLive(root, mountVersion(3));
    for (let round = 0; round < KILLS; round++) {
      const child = spawn(process.execPath, [SWITCHER, root, pool.objects, ...images], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      await once(child.stdout, 'data');
      // Anywhere in one of its first switches, which take some milliseconds each.
      await pause((round * 7) % 23);
      child.kill('SIGKILL');
      await once(child, 'exit');
      expect(versionAt(root)).toBeGreaterThan(0);
      finishInterruptedSwitch(root);
      expect(mountsAt(root)).toHaveLength(1);
      switchLive(root, mountVersion(3));
      expect(versionAt(root)).toBe(3);
    }
    // Clears up behind all of them.
    mountStack({ images, pool: pool.objects, verity: 'off', without: new Set(['append-layers']) })[Symbol.dispose]();
    expect(readMounts().filter(({ mountpoint }) => mountpoint.startsWith('/run/osupd-mount-'))).toEqual([]);
    // Other tests may be at work there at the same time.
    const abandoned = (name: string) => /^osupd-mount-\d+$/.test(name) && !existsSync(`/proc/${name.slice(12)}`);
    expect(readdirSync('/run').filter(abandoned)).toEqual([]);
    unmountStack(root);
  }, 600_000);

  it('takes the mounts inside along, with what is mounted inside those', () => {
    const root = newMountpoint();
    switchLive(root, mountVersion(1));
    execFileSync('mount', ['-t', 'tmpfs', 'osupd-test', join(root, 'data')]);
    mkdirSync(join(root, 'data/inner'));
    execFileSync('mount', ['-t', 'tmpfs', 'osupd-test', join(root, 'data/inner')]);
    writeFileSync(join(root, 'data/inner/file'), 'kept');
    writeFileSync(join(directory, 'bound'), 'bound');
    execFileSync('mount', ['--bind', join(directory, 'bound'), join(root, 'b')]);
    const old = openSync(join(root, 'data'), 'r');
    switchLive(root, mountVersion(2));
    expect(readFileSync(join(root, 'data/inner/file'), 'utf8')).toBe('kept');
    expect(readFileSync(join(root, 'b'), 'utf8')).toBe('bound');
    expect(versionAt(root)).toBe(2);
    // It is the same file system, also for those who had it open.
    writeFileSync(join(root, 'data/new'), '');
    expect(existsSync(`/proc/self/fd/${old}/new`)).toBe(true);
    closeSync(old);
    expect(mountsAt(root)).toHaveLength(1);
    expect(readdirSync('/run')).not.toContain(`osupd-mount-${process.pid}`);
    unmountStack(root, { lazy: true });
  });

  it('is refused when a mount inside has no place in the new stack, and nothing changes', () => {
    const root = newMountpoint();
    switchLive(root, mountVersion(1));
    execFileSync('mount', ['-t', 'tmpfs', 'osupd-test', join(root, 'lower')]);
    const images = [pool.addImage({ a: longText('2 ') })];
    const without = mountStack({ images, pool: pool.objects, verity: 'off', identity: identity(2) });
    expect(() => switchLive(root, without)).toThrow(
      expect.objectContaining({ code: 'busy', where: join(root, 'lower') }),
    );
    expect(attachedStack(root)).toEqual({ identity: identity(1) });
    expect(mountsAt(root)).toHaveLength(1);
    unmountStack(root, { lazy: true });
  });

  it('is refused when another mount covers the stack, and that mount stays', () => {
    const root = newMountpoint();
    switchLive(root, mountVersion(1));
    execFileSync('mount', ['-t', 'tmpfs', 'cover', root]);
    expect(() => switchLive(root, mountVersion(2))).toThrow(
      expect.objectContaining({ code: 'busy', where: root, message: expect.stringContaining('tmpfs, cover') }),
    );
    expect(mountsAt(root).map(({ source }) => source)).toEqual(['cover', 'osupd:kiosk:1-0123456789ab']);
    execFileSync('umount', [root]);
    unmountStack(root);
  });

  it('over a mountpoint of others covers it, and later switches leave it alone', () => {
    const root = newMountpoint();
    execFileSync('mount', ['-t', 'tmpfs', 'partition', root]);
    writeFileSync(join(root, 'below'), '');
    for (const version of [1, 2]) switchLive(root, mountVersion(version));
    expect(mountsAt(root).map(({ source }) => source)).toEqual(['osupd:kiosk:2-0123456789ab', 'partition']);
    unmountStack(root);
    expect(readdirSync(root)).toEqual(['below']);
    execFileSync('umount', [root]);
  });

  it('goes by the real path of the mountpoint', () => {
    const root = newMountpoint();
    const link = join(directory, 'link');
    symlinkSync(root, link);
    switchLive(link, mountVersion(1));
    expect(switchLive(root, mountVersion(2))).toEqual({ identity: identity(1) });
    unmountStack(link);
  });

  it('needs an existing directory that is not the root', () => {
    expect(() => switchLive('/nowhere', mountVersion(1))).toThrow(
      expect.objectContaining({ code: 'not-found', where: '/nowhere' }),
    );
    expect(() => switchLive('/', mountVersion(1))).toThrow(
      expect.objectContaining({ code: 'unsupported', where: '/' }),
    );
    expect(readMounts().filter(({ source }) => source.startsWith('osupd:'))).toEqual([]);
  });
});

describe('a mountpoint without a stack', () => {
  it('has none', () => {
    expect(attachedStack(directory)).toBeUndefined();
    expect(finishInterruptedSwitch(directory)).toBe(false);
  });
});
