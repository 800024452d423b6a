import {
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Digest } from '../../src/core/digest.ts';
import { fsverityDigest } from '../../src/objects/fsverity.ts';
import { ObjectBatch } from '../../src/objects/ingest.ts';
import { Pool } from '../../src/objects/pool.ts';
import { chunksOf, noise } from '../helpers/pools.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';

const directory = temporaryDirectory();
let made = 0;
const newPool = () => Pool.create(join(directory, `${made++}`));

describe('a pool', () => {
  it('is made once and opened afterwards', async () => {
    const path = join(directory, 'deep/down/pool');
    await Pool.create(path);
    writeFileSync(join(path, 'images/keep'), '');
    await Pool.create(path);
    expect((await Pool.open(path)).directory).toBe(path);
    expect(readdirSync(path).sort()).toEqual(['images', 'objects', 'staging']);
    expect(readdirSync(join(path, 'images'))).toEqual(['keep']);
  });

  it('does not show contents to other users', async () => {
    const { objectsDirectory } = await newPool();
    expect(statSync(objectsDirectory).mode & 0o077).toBe(0);
  });

  it('calls no image missing where it cannot look', async () => {
    const pool = await newPool();
    rmSync(pool.imagesDirectory, { recursive: true });
    symlinkSync('images', pool.imagesDirectory);
    expect(() => pool.hasImage(fsverityDigest(Buffer.from('x')))).toThrow(expect.objectContaining({ code: 'io' }));
  });

  it('is refused by name when the directory is none', async () => {
    const path = join(directory, 'no-pool');
    mkdirSync(path);
    await expect(Pool.open(path)).rejects.toMatchObject({
      code: 'not-found',
      where: path,
      remedy: expect.stringContaining('--pool'),
    });
  });

  it('gives an image back as it was added, and adds it once', async () => {
    const pool = await newPool();
    const bytes = noise(10_000, 1);
    const digest = fsverityDigest(bytes);
    expect(pool.hasImage(digest)).toBe(false);
    await pool.addImage(bytes, digest);
    const { ino } = statSync(pool.imagePath(digest));
    await pool.addImage(bytes, digest);
    expect(statSync(pool.imagePath(digest)).ino).toBe(ino);
    expect(await pool.readImage(digest)).toEqual(bytes);
    expect(await pool.listImages()).toEqual([digest]);
    expect(readdirSync(pool.stagingDirectory)).toEqual(['lock']);
  });

  it('refuses an image under another digest', async () => {
    const pool = await newPool();
    const digest = fsverityDigest(noise(10, 1));
    await expect(pool.addImage(noise(10, 2), digest)).rejects.toMatchObject({ code: 'verification-failed' });
    expect(await pool.listImages()).toEqual([]);
  });

  it('tells a damaged image from a missing one, and replaces the damaged one', async () => {
    const pool = await newPool();
    const bytes = noise(10_000, 1);
    const digest = fsverityDigest(bytes);
    await expect(pool.readImage(digest)).rejects.toMatchObject({ code: 'not-found' });
    writeFileSync(pool.imagePath(digest), noise(10_000, 2));
    await expect(pool.readImage(digest)).rejects.toMatchObject({ code: 'damaged-store', remedy: expect.any(String) });
    await pool.addImage(bytes, digest);
    expect(await pool.readImage(digest)).toEqual(bytes);
  });

  it('reads parts of objects, and says when one is missing or cut off', async () => {
    const pool = await newPool();
    const batch = await ObjectBatch.open(pool);
    const content = noise(100_000, 1);
    const digest = await batch.add(chunksOf(content, 1000));
    await batch.close();
    const object = await pool.openObject(digest);
    expect(object.size).toBe(100_000);
    expect(await object.read(99_990, 10)).toEqual(content.subarray(99_990));
    await expect(object.read(99_991, 10)).rejects.toMatchObject({ code: 'damaged-store' });
    truncateSync(pool.objectPath(digest), 50);
    await expect(object.read(40, 20)).rejects.toMatchObject({ code: 'damaged-store' });
    await object.close();
    rmSync(pool.objectPath(digest));
    await expect(pool.openObject(digest)).rejects.toMatchObject({
      code: 'damaged-store',
      where: pool.objectPath(digest),
    });
  });

  it('lists its objects in order, and nothing else', async () => {
    const pool = await newPool();
    const batch = await ObjectBatch.open(pool);
    const digests: Digest[] = [];
    for (let seed = 0; seed < 30; seed++) digests.push(await batch.add(chunksOf(noise(seed + 1, seed), 10)));
    await batch.close();
    writeFileSync(join(pool.objectsDirectory, 'a0'), '');
    mkdirSync(join(pool.objectsDirectory, 'tmp'));
    const listed = await Array.fromAsync(pool.listObjects());
    expect(listed.map(({ digest }) => digest)).toEqual(digests.sort());
    for (const { digest, size } of listed) expect(readFileSync(pool.objectPath(digest)).length).toBe(size);
  });
});
