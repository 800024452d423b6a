import {
  chmodSync,
  chownSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Digest } from '../../src/core/digest.ts';
import { buildImage } from '../../src/image/build.ts';
import { fsverityDigest } from '../../src/objects/fsverity.ts';
import { ObjectBatch } from '../../src/objects/ingest.ts';
import { mendPool } from '../../src/objects/mend.ts';
import { Pool } from '../../src/objects/pool.ts';
import type { Problem } from '../../src/objects/problem.ts';
import { openStagingArea } from '../../src/objects/staging.ts';
import { sweep } from '../../src/objects/sweep.ts';
import { objectsOf } from '../../src/tree/references.ts';
import { noise, problemsOf, writeNoise } from '../helpers/pools.ts';
import { itWith } from '../helpers/requirements.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';

const directory = temporaryDirectory();
const SIZES = [100, 5000, 70_000, 3 << 20];
let made = 0;

let pool: Pool;
/** Two images that share all but one object each. */
let images: [Digest, Digest];
let shared: Digest[];
let own: Digest;

beforeEach(async () => {
  pool = await Pool.create(join(directory, `pool-${made}`));
  const build = async (seed: number) => {
    const tree = join(directory, `tree-${made}-${seed}`);
    mkdirSync(tree);
    writeNoise(tree, SIZES);
    writeFileSync(join(tree, 'own'), noise(1000, 100 + seed));
    const batch = await ObjectBatch.open(pool);
    const built = await buildImage([{ kind: 'directory', path: tree }], batch, { inlineLimit: 64 });
    await batch.close();
    return built;
  };
  const [first, second] = [await build(1), await build(2)];
  made++;
  images = [first.digest, second.digest];
  const named = objectsOf(second.tree).map(({ digest }) => digest);
  shared = objectsOf(first.tree).flatMap(({ digest }) => (named.includes(digest) ? [digest] : []));
  own = named.find((digest) => !shared.includes(digest)) as Digest;
});

const brief = (problems: readonly Problem[]) =>
  problems.map(({ type, digest, images }) => ({ type, digest, images: [...images].sort() }));

describe('a check', () => {
  it('finds nothing in a good pool', async () => {
    expect(await problemsOf(pool, images)).toEqual([]);
    expect(shared.length).toBe(SIZES.length);
  });

  const damages: Record<string, (path: string) => void> = {
    'changed-object': (path) => {
      const content = readFileSync(path);
      content[content.length >> 1] = (content[content.length >> 1] ?? 0) ^ 1;
      writeFileSync(path, content);
    },
    'truncated-object': (path) => truncateSync(path, 50),
    'missing-object': (path) => rmSync(path),
    'wrong-mode': (path) => chmodSync(path, 0o4755),
  };
  for (const [type, damage] of Object.entries(damages)) {
    it(`tells of a ${type} and names the images that it hits`, async () => {
      for (const digest of shared) {
        const path = pool.objectPath(digest);
        const good = readFileSync(path);
        damage(path);
        expect(brief(await problemsOf(pool))).toEqual([{ type, digest, images: [...images].sort() }]);
        writeFileSync(path, good, { mode: 0o644 });
        chmodSync(path, 0o644);
      }
      damage(pool.objectPath(own));
      expect(brief(await problemsOf(pool))).toEqual([{ type, digest: own, images: [images[1]] }]);
    });
  }

  it('tells of an object that is longer than it should be as of a changed one', async () => {
    writeFileSync(pool.objectPath(own), noise(1001, 1));
    expect(brief(await problemsOf(pool))).toEqual([{ type: 'changed-object', digest: own, images: [images[1]] }]);
  });

  itWith(['root'], 'tells of an object that is somebody else’s', async () => {
    chownSync(pool.objectPath(own), 12, 12);
    expect(brief(await problemsOf(pool))).toEqual([{ type: 'wrong-owner', digest: own, images: [images[1]] }]);
  });

  it('tells of objects out of their place, and of what is no object at all', async () => {
    renameSync(pool.objectPath(own), join(pool.objectsDirectory, own));
    mkdirSync(join(pool.objectsDirectory, 'AB'));
    writeFileSync(join(pool.imagesDirectory, '.tmp'), '');
    mkdirSync(join(pool.objectsDirectory, 'lost+found'));
    expect((await problemsOf(pool)).map(({ type, path }) => `${type} ${path}`).sort()).toEqual([
      'foreign-file images/.tmp',
      'foreign-file objects/AB',
      `misplaced-object objects/${own}`,
      `missing-object objects/${own.slice(0, 2)}/${own.slice(2)}`,
    ]);
  });

  it('tells of images that are missing, changed, or no images', async () => {
    const [first, second] = images;
    writeFileSync(pool.imagePath(first), noise(100, 1));
    const junk = noise(5000, 2);
    await pool.addImage(junk, fsverityDigest(junk));
    rmSync(pool.imagePath(second));
    expect(
      brief(await problemsOf(pool, images))
        .map(({ type }) => type)
        .sort(),
    ).toEqual(['changed-image', 'damaged-image', 'missing-image']);
  });

  it('does not take the work of a living writer for a leftover', async () => {
    const area = openStagingArea(pool.stagingDirectory);
    writeFileSync(area.newPath('files-0'), 'half');
    expect(await problemsOf(pool)).toEqual([]);
    area.release();
    expect(brief(await problemsOf(pool))).toEqual([{ type: 'leftover', digest: undefined, images: [] }]);
  });
});

describe('mending', () => {
  it('gives objects their mode and place back, and finishes what was left', async () => {
    chmodSync(pool.objectPath(own), 0o777);
    const [moved = own] = shared;
    renameSync(pool.objectPath(moved), join(pool.objectsDirectory, moved));
    openStagingArea(pool.stagingDirectory).release();
    await mendPool(pool, await problemsOf(pool), new Set(images));
    expect(await problemsOf(pool)).toEqual([]);
  });

  it('removes damaged objects that nothing names, and leaves those that something does', async () => {
    rmSync(pool.imagePath(images[1]));
    truncateSync(pool.objectPath(own), 1);
    const [named = own] = shared;
    truncateSync(pool.objectPath(named), 1);
    await mendPool(pool, await problemsOf(pool), new Set());
    expect(pool.hasObject(own)).toBe(false);
    expect(brief(await problemsOf(pool))).toEqual([{ type: 'truncated-object', digest: named, images: [images[0]] }]);
  });
});

describe('a sweep', () => {
  it('removes what is not to be kept, and says first what that is', async () => {
    const keep = { images: new Set([images[0]]), objects: new Set(shared) };
    const firstOwn = (await Array.fromAsync(pool.listObjects())).find(
      ({ digest }) => digest !== own && !shared.includes(digest),
    );
    keep.objects.add(firstOwn?.digest as Digest);
    const expected = { images: { count: 1, bytes: expect.any(Number) }, objects: { count: 1, bytes: 1000 } };
    expect(await sweep(pool, keep, { dryRun: true })).toEqual(expected);
    expect(pool.hasObject(own)).toBe(true);
    expect(await sweep(pool, keep)).toEqual(expected);
    expect([pool.hasObject(own), pool.hasImage(images[1])]).toEqual([false, false]);
    expect(await problemsOf(pool, [images[0]])).toEqual([]);
    expect((await sweep(pool, keep)).objects.count).toBe(0);
  });

  it('does not run while somebody writes, and nobody writes while it runs', async () => {
    const batch = await ObjectBatch.open(pool);
    const nothing = { images: new Set<Digest>(), objects: new Set<Digest>() };
    await expect(sweep(pool, nothing)).rejects.toMatchObject({ code: 'busy' });
    await batch.close();
    const running = sweep(pool, nothing, {
      progress: ({ kind }) => {
        if (kind === 'start') expect(() => openStagingArea(pool.stagingDirectory)).toThrow('locked');
      },
    });
    await running;
    expect(await Array.fromAsync(pool.listObjects())).toEqual([]);
  });
});
