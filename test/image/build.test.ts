import { execFileSync } from 'node:child_process';
import { createReadStream, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { toText } from '../../src/core/bytes.ts';
import type { Digest } from '../../src/core/digest.ts';
import { type Build, type BuildOptions, type BuildSource, buildImage } from '../../src/image/build.ts';
import { fsverityDigest } from '../../src/objects/fsverity.ts';
import { ObjectBatch } from '../../src/objects/ingest.ts';
import { Pool } from '../../src/objects/pool.ts';
import { walk } from '../../src/tree/tree.ts';
import { noise, problemsOf } from '../helpers/pools.ts';
import { makeSampleTree, SAMPLE_TIME } from '../helpers/sample-tree.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';

const directory = temporaryDirectory();
const sample = join(directory, 'sample');

/** What `mkcomposefs --skip-xattrs` of composefs 1.0.8 makes of the sample tree when root has made it. */
const MKCOMPOSEFS_DIGEST = '54582b62e48668cc16b8e1997e8b5a799ec8679a9e4923211a1ee64f2cbc83c5';

const OPTIONS: BuildOptions = { inlineLimit: 64, xattrs: 'none', owners: { uids: 0, gids: 0 } };
const OBJECTS = [noise(65, 65), noise(5000, 5000), noise(100_000, 100_000)];

const fromDirectory = (path: string): BuildSource => ({ kind: 'directory', path });
const fromTar = (path: string): BuildSource => ({ kind: 'tar', path, open: () => createReadStream(path) });

let made = 0;
async function build(sources: BuildSource[], options: Partial<BuildOptions> = {}, into?: Pool): Promise<Build> {
  const pool = into ?? (await Pool.create(join(directory, `pool-${made++}`)));
  await using batch = await ObjectBatch.open(pool);
  const built = await buildImage(sources, batch, { ...OPTIONS, ...options });
  expect(await pool.readImage(built.digest)).toEqual(built.bytes);
  await batch.close();
  expect(await problemsOf(pool, [built.digest])).toEqual([]);
  return built;
}

function tree(name: string, files: Record<string, string>): string {
  const path = join(directory, name);
  for (const [file, content] of Object.entries(files)) {
    mkdirSync(join(path, file, '..'), { recursive: true });
    writeFileSync(join(path, file), content);
  }
  return path;
}

const paths = ({ tree }: Build) => [...walk(tree)].map(({ path }) => toText(path));

beforeAll(() => makeSampleTree(sample));

describe('an image', () => {
  it('of a directory is the one that mkcomposefs makes, and its objects are there', async () => {
    const pool = await Pool.create(join(directory, 'sample-pool'));
    const built = await build([fromDirectory(sample)], {}, pool);
    expect(built.digest).toBe(MKCOMPOSEFS_DIGEST);
    expect(built.objects).toEqual({ count: 3, bytes: 105_065 });
    expect(built.added).toEqual(built.objects);
    for (const content of OBJECTS) {
      expect(readFileSync(pool.objectPath(fsverityDigest(content)))).toEqual(content);
    }
    const again = await build([fromDirectory(sample)], {}, pool);
    expect([again.digest, again.added]).toEqual([built.digest, { count: 0, bytes: 0 }]);
  });

  it('of an archive of the directory is the same', async () => {
    const tar = join(directory, 'sample.tar');
    execFileSync('tar', ['-C', sample, '--numeric-owner', '--format=pax', '-cf', tar, '.']);
    execFileSync('gzip', ['-k', tar]);
    expect((await build([fromTar(tar)])).digest).toBe(MKCOMPOSEFS_DIGEST);
    expect((await build([fromTar(`${tar}.gz`)])).digest).toBe(MKCOMPOSEFS_DIGEST);
  });

  it('of a base and layers shows the layers over the base, whether they are directories or archives', async () => {
    const base = tree('base', { 'etc/old': 'old', 'etc/both': 'base', 'usr/stay': 'x'.repeat(1000) });
    const layer = tree('layer', { 'etc/both': 'layer', 'etc/.wh.old': '', 'opt/new': 'y'.repeat(1000) });
    const tar = join(directory, 'layer.tar');
    execFileSync('tar', ['-C', layer, '-cf', tar, '.']);
    const clampMtime = { seconds: BigInt(SAMPLE_TIME), nanoseconds: 0 };
    const built = await build([fromDirectory(base), fromDirectory(layer)], { clampMtime });
    expect(paths(built)).toEqual(['/', '/etc', '/etc/both', '/opt', '/opt/new', '/usr', '/usr/stay']);
    expect(built.objects.count).toBe(2);
    expect((await build([fromDirectory(base), fromTar(tar)], { clampMtime })).digest).toBe(built.digest);
  });

  it('leaves out what is excluded', async () => {
    const built = await build([fromDirectory(sample)], { exclude: ['usr', '**/e*'] });
    expect(paths(built)).toEqual(['/', '/var', '/var/names with \\xc3\\xa4 and = signs\\x0a', '/var/pipe']);
  });

  it.each(['00', 'ab', 'f0'])('is refused with /%s in its root: a stack would hide it', async (name) => {
    const source = tree(`stub-${name}`, { [`${name}/file`]: 'content', 'usr/ab': 'fine' });
    await expect(build([fromDirectory(source)])).rejects.toMatchObject({
      code: 'invalid-tree',
      where: `/${name}`,
      remedy: expect.stringContaining(`--exclude ${name}`),
      facts: { rule: 'root-stub-name' },
    });
    rmSync(join(source, name), { recursive: true });
    expect(paths(await build([fromDirectory(source)]))).toContain('/usr/ab');
  });

  it('is not made of a source that fails, and no object of an unfinished build is lost sight of', async () => {
    const pool = await Pool.create(join(directory, 'failed'));
    const missing = fromDirectory(join(directory, 'not-there'));
    await expect(build([fromDirectory(sample), missing], {}, pool)).rejects.toMatchObject({ code: 'not-found' });
    expect(await pool.listImages()).toEqual([]);
    expect(await problemsOf(pool)).toEqual([]);
  });

  it('is not made once the build is interrupted', async () => {
    const pool = await Pool.create(join(directory, 'interrupted'));
    const stop = new AbortController();
    const progress: BuildOptions['progress'] = ({ kind, step }: { kind: string; step?: string }) => {
      if (kind === 'start' && step === 'store objects') stop.abort();
    };
    const building = build([fromDirectory(sample)], { progress, signal: stop.signal }, pool);
    await expect(building).rejects.toMatchObject({ code: 'interrupted' });
    expect(await pool.listImages()).toEqual([] satisfies Digest[]);
    expect(await problemsOf(pool)).toEqual([]);
  });
});
