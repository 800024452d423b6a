import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { switchLive, unmountStack } from '../../src/deploy/live.ts';
import type { MountFeature } from '../../src/deploy/mount-features.ts';
import { imagesInUse } from '../../src/deploy/mounted-images.ts';
import { mountStack } from '../../src/deploy/stack-mount.ts';
import { mountFileSystem, unmountFileSystems } from '../helpers/file-systems.ts';
import { enterMountNamespace } from '../helpers/mount-namespace.ts';
import { describeWith } from '../helpers/requirements.ts';
import { WaitingShell } from '../helpers/shell.ts';
import { longText, TestPool } from '../helpers/stack.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';

const directory = temporaryDirectory();
let number = 0;

function newMountpoint(): string {
  const path = join(directory, `mnt-${number++}`);
  mkdirSync(path);
  return path;
}

/** A pool with three images, and what tells which of them (by their numbers 0, 1, 2) are in use. */
function poolOfThree(parent: string) {
  const pool = new TestPool(parent);
  const images = [0, 1, 2].map((version) =>
    pool.addImage({ file: longText(`${version}`), later: longText(`l${version}`) }),
  );
  const mount = (version: number, without: MountFeature[] = []) =>
    mountStack({ images: [images[version] ?? ''], pool: pool.objects, verity: 'off', without: new Set(without) });
  const inUse = () => {
    const found: ReadonlySet<string> = imagesInUse(pool.images);
    return [0, 1, 2].filter((version) => found.has(basename(images[version] ?? '')));
  };
  return { images, mount, inUse };
}

describeWith(['root', 'unshare', 'mkfs.xfs', 'mkfs.btrfs'], 'images in use', () => {
  beforeAll(() => enterMountNamespace());
  afterAll(unmountFileSystems);

  const kinds: { place: 'ext4' | 'xfs' | 'btrfs' | 'tmpfs'; without: MountFeature[] }[] = [
    { place: 'ext4', without: [] },
    { place: 'ext4', without: ['append-layers'] },
    { place: 'ext4', without: ['file-backed-erofs'] },
    { place: 'xfs', without: [] },
    { place: 'btrfs', without: [] },
    { place: 'tmpfs', without: [] },
  ];
  it.each(kinds)(
    'are those of mounted stacks, from before they show until they are gone: $place, without $without',
    async ({ place, without }) => {
      const { mount, inUse } = poolOfThree(mountFileSystem(directory, place));
      const root = newMountpoint();
      expect(inUse()).toEqual([]);
      const first = mount(1, without);
      expect(inUse()).toEqual([1]);
      switchLive(root, first);
      expect(inUse()).toEqual([1]);
      const second = mount(2, without);
      expect(inUse()).toEqual([1, 2]);
      switchLive(root, second);
      await expect.poll(inUse).toEqual([2]);
      unmountStack(root);
      await expect.poll(inUse).toEqual([]);
    },
  );

  it('are also those of a stack that was switched away, while any process uses it', async () => {
    const { mount, inUse } = poolOfThree(directory);
    const root = newMountpoint();
    switchLive(root, mount(0));
    // One has a file open, one only stands in a directory.
    const reader = await WaitingShell.start({ cwd: root, before: 'exec 3< file; cd /', after: 'cat <&3' });
    const stander = await WaitingShell.start({ cwd: root, after: 'cat later' });
    switchLive(root, mount(1));
    expect(inUse()).toEqual([0, 1]);
    expect(await reader.finish()).toBe(longText('0'));
    expect(inUse()).toEqual([0, 1]);
    // It opens an object of the old stack that nobody had open: that is why gc must keep all of them.
    expect(await stander.finish()).toBe(longText('l0'));
    await expect.poll(inUse).toEqual([1]);
    unmountStack(root);
  });

  it('are also those of a stack that only a process in another mount namespace still has', async () => {
    const { mount, inUse } = poolOfThree(directory);
    const root = newMountpoint();
    switchLive(root, mount(0));
    const prefix = ['unshare', '--mount', '--propagation', 'private'];
    const other = await WaitingShell.start({ prefix, cwd: '/', after: `cat ${join(root, 'file')}` });
    switchLive(root, mount(1));
    expect(inUse()).toEqual([0, 1]);
    expect(await other.finish()).toBe(longText('0'));
    await expect.poll(inUse).toEqual([1]);
    unmountStack(root);
  });

  it('are also those that somebody reads at the moment', () => {
    const { images, inUse } = poolOfThree(directory);
    const fd = openSync(images[1] ?? '', 'r');
    expect(inUse()).toEqual([1]);
    closeSync(fd);
    expect(inUse()).toEqual([]);
    expect(readFileSync(images[1] ?? '').length).toBeGreaterThan(0);
  });

  it('of a directory that is not there are an error, not none', () => {
    expect(() => imagesInUse('/nowhere')).toThrow(expect.objectContaining({ code: 'not-found', where: '/nowhere' }));
  });
});
