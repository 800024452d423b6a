/** I2 and I4 under SIGKILL: a writer that is killed at any instant leaves a good pool, and the next one goes on from there. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { beforeAll, expect, it } from 'vitest';
import type { Digest } from '../../src/core/digest.ts';
import { fsverityDigest } from '../../src/objects/fsverity.ts';
import { ObjectBatch } from '../../src/objects/ingest.ts';
import { Pool } from '../../src/objects/pool.ts';
import { stagedDigest } from '../../src/objects/staged-file.ts';
import { brokenInvariants, writeNoise } from '../helpers/pools.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';

const SCALE = Number(process.env.OSUPD_TEST_SCALE ?? 1);
const WRITER = join(import.meta.dirname, '../helpers/pool-writer.ts');
const FILES = 400;
const KILLS = 12 * SCALE;

const directory = temporaryDirectory();
const tree = join(directory, 'tree');
/** Milliseconds of a whole run, about. */
let whole = 0;

beforeAll(() => {
  mkdirSync(tree);
  writeNoise(
    tree,
    Array.from({ length: FILES }, (_, at) => 200 + ((at * 7919) % 60_000)),
  );
  const began = performance.now();
  const { status, stderr } = spawnSync(process.execPath, [WRITER, join(directory, 'first'), tree], {
    encoding: 'utf8',
  });
  whole = performance.now() - began;
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
});

/** Runs the writer and kills it after some time. True when it was killed, false when it was faster. */
async function runAndKill(pool: string, milliseconds: number): Promise<boolean> {
  const child = spawn(process.execPath, [WRITER, pool, tree], { stdio: 'ignore' });
  const ended = new Promise<NodeJS.Signals | null>((resolve) => child.on('exit', (_, signal) => resolve(signal)));
  await setTimeout(milliseconds);
  child.kill('SIGKILL');
  return (await ended) === 'SIGKILL';
}

/** Objects that are complete in staging areas and not in the pool. */
function finishedInStaging(pool: Pool): Set<Digest> {
  const entries = readdirSync(pool.stagingDirectory, { recursive: true, encoding: 'utf8' });
  const finished = new Set<Digest>();
  for (const entry of entries) {
    const path = join(pool.stagingDirectory, entry);
    const digest = stagedDigest(basename(entry));
    if (digest === undefined || !statSync(path).isFile() || pool.hasObject(digest)) continue;
    if (fsverityDigest(readFileSync(path)) === digest) finished.add(digest);
  }
  return finished;
}

it(`${KILLS} times at random instants, no half object has a name and no finished one is lost`, async () => {
  for (let round = 0, killed = 0; killed < KILLS; round++) {
    const path = join(directory, `pool-${round}`);
    // A different share of the run each time, always the same ones: the fractional parts of multiples of the golden ratio.
    if (await runAndKill(path, whole * (0.2 + 0.75 * ((round * 0.618) % 1)))) killed++;
    else whole *= 0.9;
    const pool = await Pool.create(path);
    expect(brokenInvariants(path)).toEqual([]);
    const finished = finishedInStaging(pool);
    const batch = await ObjectBatch.open(pool);
    expect(batch.recovered.count).toBe(finished.size);
    for (const digest of finished) expect(batch.has(digest)).toBe(true);
    await batch.close();
    expect(brokenInvariants(path)).toEqual([]);
    expect(readdirSync(pool.stagingDirectory)).toEqual(['lock']);
  }
}, 600_000);

it('in a row, the last run ends with the pool of a run that nobody disturbed', async () => {
  const path = join(directory, 'row');
  for (let round = 1; round <= 5; round++) await runAndKill(path, whole * (0.3 + 0.1 * round));
  const { status, stdout } = spawnSync(process.execPath, [WRITER, path, tree], { encoding: 'utf8' });
  expect(status).toBe(0);
  const names = (pool: string, part: string) =>
    readdirSync(join(pool, part), { recursive: true, encoding: 'utf8' }).sort();
  for (const part of ['objects', 'images', 'staging'])
    expect(names(path, part)).toEqual(names(join(directory, 'first'), part));
  expect(readdirSync(join(path, 'images'))).toEqual([JSON.parse(stdout).digest]);
  expect(brokenInvariants(path)).toEqual([]);
});
