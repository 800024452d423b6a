import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { parseClampMtime, parseOwnerMap } from '../../src/cli/build-options.ts';
import { jsonOf, runCommand } from '../helpers/run-command.ts';
import { makeSampleTree } from '../helpers/sample-tree.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';

const directory = temporaryDirectory();
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
    rmSync(join(directory, 'checked/objects/junk'), { recursive: true });
    rmSync(join(directory, 'checked/images', DIGEST));
    const repair = await runCommand(['fsck', '--pool', 'checked', '--repair'], directory);
    expect(repair).toMatchObject({ status: 10, stderr: expect.stringContaining('--from') });
    expect(repair.stdout).toContain('missing-image');
  });
});
