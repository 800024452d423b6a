import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { attachMount, cloneMount, createMount, detachMount, mountAt, unmount } from '../../src/sys/mount.ts';
import { mountsAt, parseMountinfo, readMounts } from '../../src/sys/mountinfo.ts';
import { enterMountNamespace } from '../helpers/mount-namespace.ts';
import { describeWith } from '../helpers/requirements.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';

const directory = temporaryDirectory();

function newMountpoint(): string {
  return mkdtempSync(join(directory, 'm-'));
}

/** A tmpfs, attached; `size` is there to tell one from another. */
function mountTmpfs(path: string, source = 'osupd-test', beneath = false): void {
  const mount = createMount('tmpfs', [['source', source]]);
  attachMount(mount, path, { beneath });
  closeSync(mount);
}

describe('mountinfo', () => {
  it('is read with optional fields, escapes and unknown additions', () => {
    const text = [
      '22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard',
      '36 22 0:33 /sub /mnt\\040one\\011\\134 ro master:1 propagate_from:2 unbindable - overlay osupd:kiosk:7-ab ro,xino=on',
      'rubbish',
      '37 22 0:34 / /x rw',
      '',
    ].join('\n');
    expect(parseMountinfo(text)).toEqual([
      {
        id: 22,
        parent: 1,
        root: '/',
        mountpoint: '/',
        type: 'ext4',
        source: '/dev/vda',
        options: ['rw', 'relatime', 'rw', 'discard'],
      },
      {
        id: 36,
        parent: 22,
        root: '/sub',
        mountpoint: '/mnt one\t\\',
        type: 'overlay',
        source: 'osupd:kiosk:7-ab',
        options: ['ro', 'ro', 'xino=on'],
      },
    ]);
  });

  it('a directory that is no mountpoint has no mounts', () => {
    expect(mountsAt(directory)).toEqual([]);
    expect(() => mountsAt('/nowhere')).toThrow(expect.objectContaining({ code: 'not-found', where: '/nowhere' }));
  });
});

describeWith(['root'], 'mounts', () => {
  beforeAll(() => enterMountNamespace());

  afterAll(() => {
    const left = readMounts().filter(({ mountpoint }) => mountpoint.startsWith(`${directory}/`));
    expect(left).toEqual([]);
  });

  it('a new mount is seen only when it is attached, and is gone when nobody attaches it', () => {
    const before = readMounts().length;
    const mount = createMount('tmpfs', [
      ['size', '65536'],
      ['mode', '0700'],
    ]);
    expect(readMounts().length).toBe(before);
    closeSync(mount);
    expect(readMounts().length).toBe(before);
  });

  it('mounts at one place are told top first, also when one was put beneath', () => {
    const path = newMountpoint();
    mountTmpfs(path, 'first');
    mountTmpfs(path, 'over');
    mountTmpfs(path, 'beneath', true);
    expect(mountsAt(path).map(({ source }) => source)).toEqual(['over', 'beneath', 'first']);
    detachMount(path);
    expect(mountsAt(path).map(({ source }) => source)).toEqual(['beneath', 'first']);
    detachMount(path);
    detachMount(path);
    expect(mountsAt(path)).toEqual([]);
  });

  it('a mount under a mount that is covered is not taken for what a path shows', () => {
    const path = newMountpoint();
    mkdirSync(join(path, 'inner'));
    mountTmpfs(join(path, 'inner'), 'hidden');
    const outer = newMountpoint();
    mkdirSync(join(outer, 'inner'));
    const copy = cloneMount(outer);
    attachMount(copy, path);
    closeSync(copy);
    expect(mountsAt(join(path, 'inner'))).toEqual([]);
    detachMount(path);
    expect(mountsAt(join(path, 'inner')).map(({ source }) => source)).toEqual(['hidden']);
    detachMount(join(path, 'inner'));
  });

  it('a copy with submounts is one tree', () => {
    const [path, target] = [newMountpoint(), newMountpoint()];
    mkdirSync(join(path, 'sub'));
    mountTmpfs(join(path, 'sub'), 'inside');
    const copy = cloneMount(path, { recursive: true });
    attachMount(copy, target);
    closeSync(copy);
    expect(mountsAt(join(target, 'sub')).map(({ source }) => source)).toEqual(['inside']);
    detachMount(target);
    detachMount(join(path, 'sub'));
  });

  it('names of mountpoints may have spaces and letters of any script', () => {
    const path = join(newMountpoint(), 'Käse\tund Brot\n');
    mkdirSync(path);
    mountTmpfs(path);
    expect(mountsAt(path)).toHaveLength(1);
    unmount(path);
  });

  it('the old mount call takes one string of options', () => {
    const path = newMountpoint();
    mountAt('by-string', path, 'tmpfs', 'size=65536,mode=0700');
    expect(mountsAt(path)[0]).toMatchObject({ type: 'tmpfs', source: 'by-string' });
    expect(mountsAt(path)[0]?.options).toContain('size=64k');
    unmount(path);
  });

  it('a mount that is in use is EBUSY', () => {
    const path = newMountpoint();
    mountAt('busy', path, 'tmpfs', '');
    const fd = openSync(path, 'r');
    expect(() => unmount(path)).toThrow(expect.objectContaining({ facts: { errno: 'EBUSY' }, where: path }));
    closeSync(fd);
    unmount(path);
  });

  it('the words of the kernel are in the error', () => {
    expect(() => createMount('overlay', [['no-such-option', '1']])).toThrow(/Unknown parameter 'no-such-option'/);
  });

  it('what the kernel lacks is unsupported', () => {
    expect(() => createMount('nosuchfs', [])).toThrow(
      expect.objectContaining({ code: 'unsupported', where: 'nosuchfs', facts: { errno: 'ENODEV' } }),
    );
  });

  it('without the right to mount the error says what it needs', () => {
    process.seteuid?.(65534);
    try {
      expect(() => createMount('tmpfs', [])).toThrow(
        expect.objectContaining({ code: 'unsupported', message: expect.stringContaining('CAP_SYS_ADMIN') }),
      );
      expect(() => mountAt('none', '/tmp', 'tmpfs', '')).toThrow(expect.objectContaining({ code: 'unsupported' }));
      expect(() => cloneMount('/')).toThrow(expect.objectContaining({ code: 'unsupported' }));
    } finally {
      process.seteuid?.(0);
    }
  });

  it('a missing target is not-found, and nothing is mounted', () => {
    const mount = createMount('tmpfs', []);
    expect(() => attachMount(mount, '/nowhere')).toThrow(expect.objectContaining({ code: 'not-found' }));
    closeSync(mount);
  });

  it('a read-only mount takes no files', () => {
    const path = newMountpoint();
    mountTmpfs(path);
    expect(() => writeFileSync(join(path, 'file'), '')).toThrow(expect.objectContaining({ code: 'EROFS' }));
    expect(readFileSync('/proc/self/mountinfo', 'latin1')).toContain(path);
    unmount(path);
  });
});
