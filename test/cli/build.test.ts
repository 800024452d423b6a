import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseClampMtime, parseOwnerMap } from '../../src/cli/build-options.ts';
import { openStagingArea } from '../../src/objects/staging.ts';
import { mountFileSystem, unmountFileSystems } from '../helpers/file-systems.ts';
import { enterMountNamespace } from '../helpers/mount-namespace.ts';
import { describeWith } from '../helpers/requirements.ts';
import { jsonOf, runCommand } from '../helpers/run-command.ts';
import { makeSampleTree } from '../helpers/sample-tree.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';

const directory = temporaryDirectory();
const OSUPD = resolve(import.meta.dirname, '../helpers/osupd-from-source.ts');
const DIGEST = '54582b62e48668cc16b8e1997e8b5a799ec8679a9e4923211a1ee64f2cbc83c5';
const SAMPLE = ['build', 'sample', '--skip-xattrs', '--owner-map', '0:0', '--name', 'os'];

const record = (version: string) => JSON.parse(readFileSync(join(directory, `pool/builds/os/${version}.json`), 'utf8'));

beforeAll(() => makeSampleTree(join(directory, 'sample')));

describe('osupd build', () => {
  it('prints what it made, and records it for publishing', async () => {
    const args = [...SAMPLE, '--version', '1', '--pool', 'pool', '--arch', 'any', '--annotation', 'note=a=b'];
    expect(await jsonOf(args, directory)).toEqual({
      name: 'os',
      version: '1',
      architecture: 'any',
      image: { digest: DIGEST, size: expect.any(Number) },
      entries: { files: 7, directories: 6, others: 2 },
      objects: { count: 3, bytes: 105_065, added: { count: 3, bytes: 105_065 } },
      builtBefore: false,
      seconds: 0,
    });
    expect(record('1')).toEqual({
      schema: 'osupd-build/1',
      name: 'os',
      version: '1',
      architecture: 'any',
      image: { digest: DIGEST, size: expect.any(Number) },
      objects: { count: 3, bytes: 105_065 },
      createdAt: '2030-01-01T12:00:00Z',
      annotations: { note: 'a=b' },
    });
  });

  it('says that the same version was built before, and refuses another image under it unless forced', async () => {
    const args = [...SAMPLE, '--version', '2', '--pool', 'pool'];
    await runCommand(args, directory);
    const again = await runCommand(args, directory, { SOURCE_DATE_EPOCH: '1800000000' });
    expect(again).toMatchObject({ status: 0, stdout: expect.stringContaining('built before, with the same image') });
    // When it was built first.
    expect(record('2').createdAt).toBe('2030-01-01T12:00:00Z');
    const other = await runCommand([...args, '--exclude', 'etc'], directory);
    expect(other).toMatchObject({ status: 2, stderr: expect.stringMatching(/^osupd: build: os@2: .*--force/) });
    expect(record('2').image.digest).toBe(DIGEST);
    expect((await runCommand([...args, '--exclude', 'etc', '--force'], directory)).status).toBe(0);
    expect(record('2').image.digest).not.toBe(DIGEST);
  });

  it('writes a damaged record anew', async () => {
    const args = [...SAMPLE, '--version', '3', '--pool', 'pool'];
    await runCommand(args, directory);
    writeFileSync(join(directory, 'pool/builds/os/3.json'), '{');
    expect((await runCommand(args, directory)).status).toBe(0);
    expect(record('3').image.digest).toBe(DIGEST);
  });

  it('limits mtimes to SOURCE_DATE_EPOCH, which is the time of the build too', async () => {
    const args = [...SAMPLE, '--pool', 'pool', '--version'];
    const clamped = await runCommand([...args, '4'], directory, { SOURCE_DATE_EPOCH: '1600000000' });
    expect(clamped.status).toBe(0);
    expect(record('4').createdAt).toBe('2020-09-13T12:26:40Z');
    expect(record('4').image.digest).not.toBe(DIGEST);
    await runCommand([...args, '5', '--clamp-mtime', '2020-09-13T12:26:40Z'], directory);
    expect(record('5').image.digest).toBe(record('4').image.digest);
  });

  const usage: Record<string, string[]> = {
    '"Os" is not a release|"Os@1" is not a release': ['--name', 'Os'],
    'is not a time': ['--clamp-mtime', 'yesterday'],
    'has no time': ['--clamp-mtime'],
    'is not an owner map': ['--owner-map', '0:0:0'],
    'is not an architecture': ['--arch', '../x'],
    'number of bytes up to 5000': ['--inline-limit', '5001'],
    'versions 0 and 1': ['--min-version', '2'],
    'is not an annotation': ['--annotation', 'novalue'],
  };
  for (const [message, options] of Object.entries(usage)) {
    it(`refuses ${options.join(' ')} before it does anything`, async () => {
      const args = ['build', 'sample', '--name', 'os', '--version', '1', '--pool', 'unused', ...options];
      const { status, stderr } = await runCommand(args, directory);
      expect(status).toBe(2);
      expect(stderr).toMatch(new RegExp(message));
      expect(() => readFileSync(join(directory, 'unused/staging/lock'))).toThrow();
    });
  }

  it('refuses a pool that would become part of its own image, unless it is left out', async () => {
    makeSampleTree(join(directory, 'around'));
    const args = ['build', 'around', '--name', 'os', '--version', '1', '--pool'];
    for (const pool of ['around', 'around/..pool'])
      expect(await runCommand([...args, pool], directory)).toMatchObject({
        status: 2,
        stderr: expect.stringMatching(/^osupd: build: .*the pool is in a directory that the image is made of; name/),
      });
    expect((await runCommand([...args, 'around/..pool', '--exclude', '..pool'], directory)).status).toBe(0);
  });

  it('names a source that is not there', async () => {
    const { status, stderr } = await runCommand(
      ['build', 'gone', '--name', 'os', '--version', '1', '--pool', 'pool'],
      directory,
    );
    expect(status).toBe(5);
    expect(stderr).toContain('osupd: build: gone: ');
  });
});

describe('owner maps', () => {
  it('are one owner for all, or ranges', () => {
    expect(parseOwnerMap([])).toBeUndefined();
    expect(parseOwnerMap(['0:5'])).toEqual({ uids: 0, gids: 5 });
    const range = (from: number, to: number, count: number) => ({ from, to, count });
    expect(parseOwnerMap(['100000:0:65536', 'u:5:6:1', 'g:7:8:2'])).toEqual({
      uids: [range(100_000, 0, 65_536), range(5, 6, 1)],
      gids: [range(100_000, 0, 65_536), range(7, 8, 2)],
    });
    for (const wrong of ['', '5', '0:', ':0', 'u:0:0', 'x:0:0:1', '0:0:4294967296', '0:4294967295:2', '1:2:3:4'])
      expect(() => parseOwnerMap([wrong]), wrong).toThrow('is not an owner map');
    expect(() => parseOwnerMap(['0:0', '0:0'])).toThrow('is not an owner map');
  });
});

describe('the latest mtime', () => {
  it('is that of the option, or of the environment', () => {
    const time = (seconds: bigint, nanoseconds = 0) => ({ seconds, nanoseconds });
    expect(parseClampMtime(undefined, undefined)).toBeUndefined();
    expect(parseClampMtime(undefined, '5')).toEqual(time(5n));
    expect(parseClampMtime(true, '5')).toEqual(time(5n));
    expect(parseClampMtime('7', '5')).toEqual(time(7n));
    expect(parseClampMtime('1969-12-31T23:59:59.5Z', undefined)).toEqual(time(-1n, 500_000_000));
    expect(() => parseClampMtime(undefined, '-5')).toThrow('not a number of seconds');
  });
});

describeWith(['root', 'mkfs.ext4'], 'osupd on a file system of its own', () => {
  let disk: string;
  /** In a process of its own: not every thread of this one sees the mount. */
  const osupd = (args: readonly string[]) =>
    spawnSync(process.execPath, [OSUPD, ...args], { cwd: directory, encoding: 'utf8' });

  beforeAll(() => {
    enterMountNamespace();
    disk = mountFileSystem(directory, 'ext4');
  });
  afterAll(() => unmountFileSystems());

  it('names the pool when that is full, leaves nothing of the build, and works once there is room', () => {
    const { bavail, bsize } = statfsSync(disk);
    writeFileSync(join(disk, 'ballast'), '');
    execFileSync('fallocate', ['-l', `${(bavail - 60) * bsize}`, join(disk, 'ballast')]);
    const args = ['build', 'large', '--name', 'os', '--version', '1', '--pool', join(disk, 'pool')];
    mkdirSync(join(directory, 'large'));
    // More than the twentieth of the disk that is kept for root.
    writeFileSync(join(directory, 'large/file'), randomBytes(40 << 20));
    expect(osupd(args)).toMatchObject({
      status: 7,
      stderr: expect.stringMatching(/^osupd: build: \S+\/pool\/objects: ENOSPC: .*; make room/),
    });
    expect(readdirSync(join(disk, 'pool/objects'))).toEqual([]);
    expect(readdirSync(join(disk, 'pool/staging'))).toEqual(['lock']);
    rmSync(join(disk, 'ballast'));
    expect(osupd(args).status).toBe(0);
  });

  it('checks a pool that can only be read, with what a killed build has left', () => {
    const area = openStagingArea(join(disk, 'pool/staging'));
    area.release();
    execFileSync('mount', ['-o', 'remount,ro', disk]);
    const { status, stdout } = osupd(['fsck', '--pool', join(disk, 'pool')]);
    expect({ status, stdout }).toMatchObject({ status: 0, stdout: expect.stringMatching(/^leftover .*all good\n$/s) });
  });
});

describe('osupd fsck --pool', () => {
  it('exits 10 with what is wrong, mends what it can, and says what must be fetched', async () => {
    await runCommand([...SAMPLE, '--version', '1', '--pool', 'checked'], directory);
    const good = await runCommand(['fsck', '--pool', 'checked'], directory);
    expect(good).toMatchObject({ status: 0, stdout: '1 images, 3 objects, 105.1 kB: all good\n' });
    mkdirSync(join(directory, 'checked/objects/junk'));
    const bad = await runCommand(['fsck', '--pool', 'checked'], directory);
    expect(bad.status).toBe(10);
    expect(bad.stdout).toContain('foreign-file  objects/junk');
    expect(bad.stderr).toContain('osupd fsck --repair');
    // Nothing that a second look could find mended.
    const stays = await runCommand(['fsck', '--pool', 'checked', '--repair'], directory);
    expect(stays).toMatchObject({ status: 10, stderr: expect.not.stringContaining('checking again') });
    rmSync(join(directory, 'checked/objects/junk'), { recursive: true });
    rmSync(join(directory, 'checked/images', DIGEST));
    const repair = await runCommand(['fsck', '--pool', 'checked', '--repair'], directory);
    expect(repair).toMatchObject({ status: 10, stderr: expect.stringContaining('--from') });
    expect(repair.stdout).toContain('missing-image');
  });
});
