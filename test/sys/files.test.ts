import { closeSync, mkdtempSync, openSync, readFileSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freeSpace, reflink } from '../../src/sys/files.ts';
import { mountFileSystem, unmountFileSystems } from '../helpers/file-systems.ts';
import { enterMountNamespace } from '../helpers/mount-namespace.ts';
import { describeWith } from '../helpers/requirements.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';

const directory = temporaryDirectory();

/** Reflinks a file of 1 MiB in a directory; what the target has then, or undefined when it could not be. */
function reflinkIn(place: string): Buffer | undefined {
  const [source, target] = [join(mkdtempSync(join(place, 'r-')), 'source'), join(place, 'target')];
  writeFileSync(source, Buffer.alloc(1 << 20, 'osupd'));
  const [from, to] = [openSync(source, 'r'), openSync(target, 'w')];
  try {
    return reflink(from, to) ? readFileSync(target) : undefined;
  } finally {
    closeSync(from);
    closeSync(to);
  }
}

describe('free space', () => {
  it('is what the file system has for ordinary users', () => {
    const { bytes, inodes } = freeSpace(directory);
    const { bavail, bsize, ffree } = statfsSync(directory);
    expect(Math.abs(bytes - bavail * bsize)).toBeLessThan(1 << 30);
    expect(Math.abs(inodes - ffree)).toBeLessThan(100_000);
  });

  it('of a path that does not exist is not-found', () => {
    expect(() => freeSpace('/nowhere')).toThrow(expect.objectContaining({ code: 'not-found', where: '/nowhere' }));
  });
});

describeWith(['root', 'mkfs.xfs', 'mkfs.btrfs'], 'file systems that share blocks, and those that do not', () => {
  let places: Record<'xfs' | 'btrfs' | 'tmpfs', string> = { xfs: '', btrfs: '', tmpfs: '' };

  beforeAll(() => {
    enterMountNamespace();
    places = {
      xfs: mountFileSystem(directory, 'xfs'),
      btrfs: mountFileSystem(directory, 'btrfs'),
      tmpfs: mountFileSystem(directory, 'tmpfs'),
    };
  });

  afterAll(unmountFileSystems);

  it.each(['xfs', 'btrfs'] as const)('%s makes a copy that has the content', (type) => {
    expect(reflinkIn(places[type])?.equals(Buffer.alloc(1 << 20, 'osupd'))).toBe(true);
  });

  it('tmpfs, and files on two file systems, leave it to the caller', () => {
    expect(reflinkIn(places.tmpfs)).toBeUndefined();
    const source = join(places.xfs, 'source');
    writeFileSync(source, 'x');
    const [from, to] = [openSync(source, 'r'), openSync(join(places.btrfs, 'target'), 'w')];
    expect(reflink(from, to)).toBe(false);
    closeSync(from);
    closeSync(to);
  });

  it('btrfs counts no inodes', () => {
    expect(freeSpace(places.btrfs).inodes).toBe(Number.POSITIVE_INFINITY);
    expect(freeSpace(places.btrfs).bytes).toBeGreaterThan(0);
  });
});
