import {
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { fromText } from '../../src/core/bytes.ts';
import { attachedStack, switchLive, unmountStack } from '../../src/deploy/live.ts';
import type { MountFeature } from '../../src/deploy/mount-features.ts';
import { mountImages } from '../../src/deploy/mount-images.ts';
import { mountStack, type StackMountRequest } from '../../src/deploy/stack-mount.ts';
import { acquireLock } from '../../src/sys/lock.ts';
import { mountsAt, readMounts } from '../../src/sys/mountinfo.ts';
import { readXattrs } from '../../src/sys/xattr.ts';
import { mountFileSystem, unmountFileSystems } from '../helpers/file-systems.ts';
import { enterMountNamespace } from '../helpers/mount-namespace.ts';
import { describeWith } from '../helpers/requirements.ts';
import { longText, TestPool } from '../helpers/stack.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';

const directory = temporaryDirectory();
let number = 0;

function newMountpoint(): string {
  const path = join(directory, `mnt-${number++}`);
  mkdirSync(path);
  return path;
}

/** The request for an OS with two applications over it, which overlap in all ways. */
function threeImages(pool: TestPool): StackMountRequest {
  const os = pool.addImage({
    'usr/bin/sh': longText('shell of the OS'),
    'usr/bin/ping': { content: longText('ping'), mode: 0o4755, xattrs: { 'security.capability': CAPABILITY } },
    'usr/lib/library': longText('library', 200_000),
    'etc/name': 'os',
    'etc/kind': { type: 'symlink', content: 'name' },
    'srv/data': { content: longText('secret'), mode: 0o600, uid: 1000, xattrs: { 'user.origin': 'os' } },
    'srv/becomes-file/inner': longText('gone'),
  });
  const app = pool.addImage({
    'usr/bin/app': longText('application'),
    'etc/name': 'app',
    'srv/data': { content: longText('secret'), mode: 0o644, uid: 7 },
  });
  const top = pool.addImage({
    'usr/bin/top': longText('top'),
    'etc/name': 'top',
    'srv/becomes-file': longText('file'),
  });
  return { images: [top, app, os], pool: pool.objects, verity: 'off' };
}

/** cap_net_raw=ep in the kernel's form. */
const CAPABILITY = '\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0';

function checkThreeImages(root: string): void {
  const read = (path: string) => readFileSync(join(root, path), 'utf8');
  expect(readdirSync(root).sort()).toEqual(['etc', 'srv', 'usr']);
  expect(readdirSync(join(root, 'usr/bin')).sort()).toEqual(['app', 'ping', 'sh', 'top']);
  expect(read('usr/bin/sh')).toBe(longText('shell of the OS'));
  expect(read('usr/bin/app')).toBe(longText('application'));
  expect(read('usr/lib/library')).toBe(longText('library', 200_000));
  expect(read('etc/name')).toBe('top');
  expect(readlinkSync(join(root, 'etc/kind'))).toBe('name');
  expect(read('srv/becomes-file')).toBe(longText('file'));
  // The same object twice in the pool's images, shown as the upper one of them says.
  expect(read('srv/data')).toBe(longText('secret'));
  expect(lstatSync(join(root, 'srv/data'))).toMatchObject({ uid: 7, gid: 7, mode: 0o100644, size: 9000 });
  expect(lstatSync(join(root, 'usr/bin/ping')).mode).toBe(0o104755);
  const xattrs = readXattrs(fromText(join(root, 'usr/bin/ping')));
  expect(Buffer.from(xattrs.get('security.capability') ?? []).toString('latin1')).toBe(CAPABILITY);
}

/** Number of loop devices whose file is below a directory. */
function loopDevicesOf(place: string): number {
  const devices = readdirSync('/sys/block').filter((name) => name.startsWith('loop'));
  const files = devices.map((name) => join('/sys/block', name, 'loop/backing_file')).filter((file) => existsSync(file));
  return files.filter((file) => readFileSync(file, 'utf8').startsWith(`${place}/`)).length;
}

/** Shows a stack at a new mountpoint, checks it there, and takes it away. */
function show(request: StackMountRequest, check: (root: string) => void): void {
  const root = newMountpoint();
  switchLive(root, mountStack(request));
  try {
    check(root);
  } finally {
    unmountStack(root);
  }
}

describeWith(['root'], 'a mounted stack', () => {
  let pool: TestPool;

  beforeAll(() => {
    enterMountNamespace();
    pool = new TestPool(directory);
  });

  afterAll(() => {
    unmountFileSystems();
    expect(readMounts().filter(({ mountpoint }) => mountpoint.startsWith(`${directory}/`))).toEqual([]);
    expect(readdirSync('/run').filter((name) => name === `osupd-mount-${process.pid}`)).toEqual([]);
  });

  it('shows the union of its images, the topmost first, with the metadata of each', () => {
    show(threeImages(pool), checkThreeImages);
  });

  const fallbacks: MountFeature[][] = [
    ['layer-descriptors'],
    ['append-layers'],
    ['file-backed-erofs'],
    ['file-backed-erofs', 'append-layers'],
  ];
  it.each(fallbacks)('is the same on a kernel without %s', (...without) => {
    show({ ...threeImages(pool), without: new Set(without) }, checkThreeImages);
  });

  it('all its files have the device number of the overlay, and numbers that differ', () => {
    show(threeImages(pool), (root) => {
      const files = ['', 'usr', 'usr/bin/sh', 'usr/bin/app', 'usr/bin/top', 'etc/name'].map((name) =>
        lstatSync(join(root, name), { bigint: true }),
      );
      expect(new Set(files.map(({ dev }) => dev)).size).toBe(1);
      expect(new Set(files.map(({ ino }) => ino)).size).toBe(files.length);
    });
  });

  it('has its pool and images on tmpfs through loop devices, which go away with it', async () => {
    const tmpfs = mountFileSystem(directory, 'tmpfs');
    show(threeImages(new TestPool(tmpfs)), (root) => {
      checkThreeImages(root);
      expect(loopDevicesOf(tmpfs)).toBe(3);
    });
    await expect.poll(() => loopDevicesOf(tmpfs)).toBe(0);
  });

  it('paths with separators of mount options, and paths longer than an option may be', () => {
    for (const name of ['a,b:c\\d', 'long'.repeat(60)]) {
      const parent = join(directory, name, name);
      mkdirSync(parent, { recursive: true });
      const request = threeImages(new TestPool(parent));
      show(request, checkThreeImages);
      show({ ...request, without: new Set(['layer-descriptors']) }, checkThreeImages);
      show({ ...request, without: new Set(['append-layers']) }, checkThreeImages);
    }
  });

  it('takes sixty images', () => {
    const images = Array.from({ length: 60 }, (_, at) =>
      pool.addImage({ [`file-${at}`]: longText(`${at}`), who: `${at}` }),
    );
    for (const without of [[], ['append-layers']] as MountFeature[][]) {
      show({ images, pool: pool.objects, verity: 'off', without: new Set(without) }, (root) => {
        expect(readdirSync(root).length).toBe(61);
        expect(readFileSync(join(root, 'who'), 'utf8')).toBe('0');
        expect(readFileSync(join(root, 'file-59'), 'utf8')).toBe(longText('59'));
      });
    }
  });

  it('says of which deployment it is, to everybody who reads mountinfo', () => {
    const identity = { stack: 'kiosk', deployment: '12-0123456789ab' };
    show({ ...threeImages(pool), identity }, (root) => {
      expect(attachedStack(root)).toEqual({ identity });
      expect(mountsAt(root)[0]?.source).toBe('osupd:kiosk:12-0123456789ab');
      expect(mountsAt(root)[0]?.options).toEqual(expect.arrayContaining(['ro', 'metacopy=on', 'redirect_dir=on']));
    });
    show(threeImages(pool), (root) => expect(attachedStack(root)).toEqual({ identity: undefined }));
  });

  it('leaves nothing when nobody attaches it', () => {
    const before = readMounts().length;
    const mounted = mountStack(threeImages(pool));
    mounted[Symbol.dispose]();
    mounted[Symbol.dispose]();
    expect(readMounts().length).toBe(before);
  });

  it('shows ACLs where an image has them', () => {
    const acl =
      '\x02\0\0\0\x01\0\x06\0\xff\xff\xff\xff\x02\0\x07\0\xd2\x04\0\0\x04\0\x04\0\xff\xff\xff\xff\x10\0\x07\0\xff\xff\xff\xff\x20\0\x04\0\xff\xff\xff\xff';
    const image = pool.addImage({ file: { content: longText('acl'), xattrs: { 'system.posix_acl_access': acl } } });
    show({ images: [image], pool: pool.objects, verity: 'off' }, (root) => {
      const found = readXattrs(fromText(join(root, 'file'))).get('system.posix_acl_access');
      expect(Buffer.from(found ?? []).toString('latin1')).toBe(acl);
    });
  });

  it('an object that is missing is found before anybody sees the stack', () => {
    const broken = new TestPool(directory);
    const images = [broken.addImage({ 'deep/in/file': longText('missing') })];
    rmSync(broken.objects, { recursive: true });
    mkdirSync(broken.objects);
    expect(() => mountStack({ images, pool: broken.objects, verity: 'off' })).toThrow(
      expect.objectContaining({ code: 'damaged-store', facts: { file: 'deep/in/file' } }),
    );
  });

  it('fs-verity that cannot be had is unsupported when it is required, and done without when it is not', () => {
    // A pool on tmpfs has no fs-verity on any kernel.
    const request = threeImages(new TestPool(mountFileSystem(directory, 'tmpfs')));
    expect(() => mountStack({ ...request, verity: 'require' })).toThrow(
      expect.objectContaining({ code: 'unsupported', facts: expect.objectContaining({ feature: 'fs-verity' }) }),
    );
    using mounted = mountStack({ ...request, verity: 'auto' });
    expect(mounted.verity).toBe(false);
  });

  it('a file that is no image, one that is missing, a pool that is missing: each is named', () => {
    const [image = ''] = threeImages(pool).images;
    const rubbish = join(directory, 'rubbish');
    writeFileSync(rubbish, Buffer.alloc(8192));
    const mount = (images: string[], objects = pool.objects) => mountStack({ images, pool: objects, verity: 'off' });
    expect(() => mount([rubbish])).toThrow(expect.objectContaining({ code: 'damaged-image', where: rubbish }));
    expect(() => mount(['/nowhere'])).toThrow(expect.objectContaining({ code: 'not-found', where: '/nowhere' }));
    expect(() => mount([image], '/nowhere')).toThrow(expect.objectContaining({ code: 'not-found', where: '/nowhere' }));
  });
});

describeWith(['root'], 'images mounted by hand', () => {
  beforeAll(() => enterMountNamespace());

  it('are named by path or digest, and replaced only when that is asked for', async () => {
    const pool = new TestPool(directory);
    const [one, two] = ['1', '2'].map((version) => pool.addImage({ version, file: longText(version) }));
    const root = newMountpoint();
    const request = { directory: root, pool: pool.directory, verity: 'auto', replace: false } as const;
    await mountImages({ ...request, images: [one ?? ''] });
    const other = { ...request, images: [two?.split('/').at(-1) ?? ''] };
    await expect(mountImages(other)).rejects.toMatchObject({ code: 'busy', where: root });
    expect(await mountImages({ ...other, replace: true })).toEqual({ images: [two], verity: false, replaced: true });
    expect(readFileSync(join(root, 'version'), 'utf8')).toBe('2');
    unmountStack(root);
    expect(() => unmountStack(root)).toThrow(expect.objectContaining({ code: 'not-found', where: root }));
  });

  it('are not mounted while another osupd changes the device', async () => {
    const pool = new TestPool(directory);
    const images = [pool.addImage({ version: '1' })];
    using _lock = acquireLock(join(pool.directory, 'lock'), 'exclusive');
    await expect(
      mountImages({ images, directory: newMountpoint(), pool: pool.directory, verity: 'off', replace: false }),
    ).rejects.toMatchObject({ code: 'busy' });
  });

  it('a stack in use is unmounted lazily, or not at all', () => {
    const pool = new TestPool(directory);
    const root = newMountpoint();
    const images = [pool.addImage({ file: longText('1') })];
    switchLive(root, mountStack({ images, pool: pool.objects, verity: 'off' }));
    const fd = openSync(join(root, 'file'), 'r');
    expect(() => unmountStack(root)).toThrow(expect.objectContaining({ code: 'busy', where: root }));
    unmountStack(root, { lazy: true });
    expect(readFileSync(fd, 'utf8')).toBe(longText('1'));
    closeSync(fd);
  });
});
