import {
  appendFileSync,
  closeSync,
  copyFileSync,
  ftruncateSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { fromText } from '../../src/core/bytes.ts';
import type { Digest } from '../../src/core/digest.ts';
import { fsverityDigest } from '../../src/objects/fsverity.ts';
import { type BatchOptions, ObjectBatch } from '../../src/objects/ingest.ts';
import { Pool } from '../../src/objects/pool.ts';
import type { SourceStat } from '../../src/tree/tree.ts';
import { chunksOf, noise, problemsOf } from '../helpers/pools.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';

const directory = temporaryDirectory();
let made = 0;

function newDirectory(): string {
  const path = join(directory, `${made++}`);
  mkdirSync(path);
  return path;
}

async function newBatch(options?: BatchOptions): Promise<{ pool: Pool; batch: ObjectBatch }> {
  const pool = await Pool.create(newDirectory());
  return { pool, batch: await ObjectBatch.open(pool, options) };
}

function sourceStat(path: string): SourceStat {
  const { size, mtimeNs, ino } = lstatSync(path, { bigint: true });
  return { size: Number(size), mtimeNs, ino };
}

const add = (batch: ObjectBatch, path: string) => batch.addFile(fromText(path), sourceStat(path));
const staging = (pool: Pool) => readdirSync(pool.stagingDirectory).filter((name) => name !== 'lock');

describe('a batch', () => {
  it('has what is staged, and the pool has it after a flush', async () => {
    const { pool, batch } = await newBatch();
    const content = noise(10_000, 1);
    const digest = await batch.add(chunksOf(content, 999), 10_000);
    expect(digest).toBe(fsverityDigest(content));
    expect([batch.has(digest), batch.has(digest, 10_000), batch.has(digest, 9_999)]).toEqual([true, true, false]);
    expect(pool.hasObject(digest)).toBe(false);
    const staged = await batch.open(digest);
    expect(await staged.read(5, 100)).toEqual(content.subarray(5, 105));
    await staged.close();
    await batch.flush();
    expect(pool.hasObject(digest, 10_000)).toBe(true);
    expect(readFileSync(pool.objectPath(digest))).toEqual(content);
    expect(statSync(pool.objectPath(digest)).mode & 0o7777).toBe(0o644);
    await batch.close();
    expect(staging(pool)).toEqual([]);
  });

  it('stores equal content once, whichever way it comes', async () => {
    const { pool, batch } = await newBatch();
    const path = join(directory, 'equal');
    writeFileSync(path, noise(3 << 20, 2));
    copyFileSync(path, `${path}-too`);
    const digests = await Promise.all([
      add(batch, path),
      add(batch, `${path}-too`),
      batch.add(chunksOf(noise(3 << 20, 2), 1 << 16)),
      batch.add(chunksOf(noise(3 << 20, 2), 1 << 20)),
    ]);
    await batch.flush();
    digests.push(await add(batch, path), await batch.add(chunksOf(noise(3 << 20, 2), 5000)));
    await batch.close();
    expect(new Set(digests).size).toBe(1);
    expect(batch.added).toEqual({ count: 1, bytes: 3 << 20 });
    expect((await Array.fromAsync(pool.listObjects())).length).toBe(1);
  });

  it('commits by itself when much is staged', async () => {
    const steps: string[] = [];
    const { pool, batch } = await newBatch({ flushObjects: 10, onStep: (step) => steps.push(step) });
    for (let seed = 0; seed < 25; seed++) await batch.add(chunksOf(noise(100, seed), 100));
    await batch.flush();
    expect(steps.filter((step) => step === 'committed').length).toBe(3);
    expect((await Array.fromAsync(pool.listObjects())).length).toBe(25);
    await batch.close();
  });

  it('keeps nothing that is not what it should be', async () => {
    const { pool, batch } = await newBatch();
    const content = noise(2 << 20, 3);
    const digest = fsverityDigest(content);
    const other = fsverityDigest(noise(5, 5));
    const failure = { code: 'verification-failed' };
    await expect(batch.addExpected(other, 2 << 20, chunksOf(content, 70_000))).rejects.toMatchObject(failure);
    await expect(batch.addExpected(digest, 5, chunksOf(content, 70_000))).rejects.toMatchObject(failure);
    await expect(batch.addExpected(digest, 3 << 20, chunksOf(content, 70_000))).rejects.toMatchObject(failure);
    await expect(batch.add(chunksOf(content, 70_000), 5)).rejects.toMatchObject(failure);
    await batch.close();
    expect(await Array.fromAsync(pool.listObjects())).toEqual([]);
  });

  it('reads no more of expected content than it may have', async () => {
    const { batch } = await newBatch();
    let given = 0;
    async function* endless() {
      for (;;) {
        given += 1000;
        yield noise(1000, 0);
      }
    }
    await expect(batch.addExpected('0'.repeat(64) as Digest, 4500, endless())).rejects.toThrow('more bytes, not 4500');
    expect(given).toBe(5000);
    await batch.abort();
  });

  it('repairs: expected content replaces a damaged object', async () => {
    const { pool, batch } = await newBatch();
    const content = noise(5000, 4);
    const digest = await batch.add(chunksOf(content, 5000));
    await batch.flush();
    writeFileSync(pool.objectPath(digest), noise(5000, 5));
    await batch.addExpected(digest, 5000, chunksOf(content, 5000));
    await batch.close();
    expect(readFileSync(pool.objectPath(digest))).toEqual(content);
  });

  it('replaces an object that has the wrong size', async () => {
    const { pool, batch } = await newBatch();
    const path = join(directory, 'torn');
    writeFileSync(path, noise(5000, 6));
    const digest = await add(batch, path);
    await batch.flush();
    for (const again of [() => add(batch, path), () => batch.add(chunksOf(noise(5000, 6), 5000))]) {
      truncateSync(pool.objectPath(digest), 10);
      await again();
      await batch.flush();
      expect(statSync(pool.objectPath(digest)).size).toBe(5000);
    }
    await batch.close();
  });

  it('leaves nothing when it is given up', async () => {
    const { pool, batch } = await newBatch();
    await batch.add(chunksOf(noise(5000, 7), 5000));
    await batch.abort();
    expect(staging(pool)).toEqual([]);
    expect(await Array.fromAsync(pool.listObjects())).toEqual([]);
  });

  it('does not disturb another one on the same pool', async () => {
    const { pool, batch } = await newBatch();
    const first = await batch.add(chunksOf(noise(5000, 8), 5000));
    const other = await ObjectBatch.open(pool);
    expect(other.recovered.count).toBe(0);
    await other.add(chunksOf(noise(5000, 8), 5000));
    const second = await other.add(chunksOf(noise(5000, 9), 5000));
    await other.close();
    await batch.close();
    expect([pool.hasObject(first), pool.hasObject(second)]).toEqual([true, true]);
    expect(await problemsOf(pool)).toEqual([]);
  });
});

describe('files of this machine', () => {
  it('of all sizes and names arrive', async () => {
    const { pool, batch } = await newBatch();
    const tree = newDirectory();
    const sizes = [0, 1, 4095, 4096, 65_535, 65_536, (1 << 20) + 1, 8 << 20, (8 << 20) + 1, 20 << 20];
    const paths = sizes.map((size) => join(tree, `grün-${size}`));
    for (const [at, path] of paths.entries()) writeFileSync(path, noise(sizes[at] ?? 0, at));
    const digests = await Promise.all(paths.map((path) => add(batch, path)));
    await batch.close();
    for (const [at, path] of paths.entries()) {
      const content = readFileSync(path);
      expect(digests[at]).toBe(fsverityDigest(content));
      expect(readFileSync(pool.objectPath(digests[at] as Digest)).equals(content)).toBe(true);
    }
  });

  it('that are sparse stay sparse', async () => {
    const { pool, batch } = await newBatch();
    const path = join(directory, 'sparse');
    const fd = openSync(path, 'w');
    writeSync(fd, noise(5000, 1), 0, 5000, 10 << 20);
    ftruncateSync(fd, 64 << 20);
    closeSync(fd);
    const digest = await add(batch, path);
    const streamed = await batch.add(chunksOf(readFileSync(path), 1 << 20));
    await batch.close();
    const stored = statSync(pool.objectPath(digest));
    expect(streamed).toBe(digest);
    expect(digest).toBe(fsverityDigest(readFileSync(path)));
    expect(stored.size).toBe(64 << 20);
    expect(stored.blocks * 512).toBeLessThan(1 << 20);
  });

  const changes: Record<string, (path: string) => void> = {
    'has grown': (path) => appendFileSync(path, 'more'),
    'has shrunk': (path) => truncateSync(path, 10),
    'was written to': (path) => utimesSync(path, 5, 5),
    'was replaced': (path) => {
      const { mtimeNs } = statSync(path, { bigint: true });
      copyFileSync(path, `${path}-new`);
      rmSync(path);
      copyFileSync(`${path}-new`, path);
      const seconds = Number(mtimeNs / 1_000_000_000n);
      utimesSync(path, seconds, seconds);
    },
    'is gone': (path) => rmSync(path),
    'became a symlink': (path) => {
      copyFileSync(path, `${path}-target`);
      rmSync(path);
      symlinkSync(`${path}-target`, path);
    },
  };
  for (const [what, change] of Object.entries(changes)) {
    for (const size of [1000, 100_000, 9 << 20]) {
      it(`are refused by name when one of ${size} bytes ${what} since the tree was read`, async () => {
        const { pool, batch } = await newBatch();
        const path = join(newDirectory(), 'file');
        writeFileSync(path, noise(size, 1));
        const seen = sourceStat(path);
        change(path);
        await expect(batch.addFile(fromText(path), seen)).rejects.toMatchObject({
          code: 'changed-while-read',
          where: path,
        });
        await batch.close();
        expect(await Array.fromAsync(pool.listObjects())).toEqual([]);
        expect(staging(pool)).toEqual([]);
      });
    }
  }
});
