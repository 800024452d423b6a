import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { noProgress, type Progress } from '../../src/core/progress.ts';
import { JobResults } from '../../src/delta/jobs/job-results.ts';
import { makerOf, parseRecordJob, type RecordJob } from '../../src/delta/jobs/record-job.ts';
import { encodeResult } from '../../src/delta/jobs/result-file.ts';
import { runJobs } from '../../src/delta/jobs/run-jobs.ts';
import { Spool } from '../../src/delta/spool.ts';
import { planJobs, writeDelta } from '../../src/delta/write.ts';
import type { Pool } from '../../src/objects/pool.ts';
import { chunksOf, noise } from '../helpers/pools.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';
import { addSystem, type DeltaSides, newPool, newSystem, nextSystem, type System } from './fixture.ts';

const EFFORT = 3;
const MAKER = makerOf('1.2.3');
const base = temporaryDirectory();
let pool: Pool;
let sides: DeltaSides;
let jobs: RecordJob[];
let direct: Buffer;

beforeAll(async () => {
  pool = await newPool(base);
  const system = newSystem(7, 60);
  sides = { from: [await addSystem(pool, system)], to: [await addSystem(pool, nextSystem(system, 8))] };
  jobs = await planJobs({ ...sides, store: pool, progress: noProgress }, EFFORT, MAKER);
  direct = (await write(undefined)).bytes;
});

function newResults(): JobResults {
  return JobResults.open(join(mkdtempSync(join(base, 'jobs-')), 'results'), MAKER);
}

/** Makes the delta. `encoded`: bytes of content that were not taken from results. */
async function write(results: JobResults | undefined, images = sides, store = pool) {
  const chunks: Buffer[] = [];
  const notes: string[] = [];
  let encoded = 0;
  const progress: Progress = (event) => {
    if (event.kind === 'note') notes.push(event.text);
    if (event.kind === 'start' && event.step === 'encode') encoded = event.total ?? 0;
  };
  const out = async (chunk: Uint8Array) => void chunks.push(Buffer.from(chunk));
  await writeDelta({ ...images, store, out, effort: EFFORT, scratch: base, results, progress });
  return { bytes: Buffer.concat(chunks), notes, encoded };
}

function run(results: JobResults, some: readonly RecordJob[], workers = 2) {
  return runJobs({ jobs: some, store: pool, results, scratch: base, workers, progress: noProgress });
}

describe('jobs', () => {
  it('are the records of the delta, the largest first, each with a name of its own', () => {
    expect(jobs.length).toBeGreaterThan(3);
    expect(new Set(jobs.map(({ job }) => job)).size).toBe(jobs.length);
    const sizes = jobs.map(({ bytes }) => bytes);
    expect(sizes).toEqual(sizes.toSorted((a, b) => b - a));
  });

  it('have the same names whenever they are planned, others for another effort or maker', async () => {
    const names = async (effort: number, maker: string) =>
      (await planJobs({ ...sides, store: pool, progress: noProgress }, effort, maker)).map(({ job }) => job);
    const own = jobs.map(({ job }) => job);
    expect(await names(EFFORT, MAKER)).toEqual(own);
    for (const other of [await names(EFFORT + 1, MAKER), await names(EFFORT, makerOf('1.2.4'))])
      expect(other.filter((name) => own.includes(name))).toEqual([]);
  });

  it('are read as they were written, and refused when anything in them was changed', () => {
    for (const job of jobs) expect(parseRecordJob(JSON.stringify(job))).toEqual(job);
    const [job] = jobs as [RecordJob];
    const [member] = job.members as [RecordJob['members'][number]];
    const changed: object[] = [
      { ...job, effort: 9 },
      { ...job, maker: 'other' },
      { ...job, bytes: job.bytes + 1 },
      { ...job, members: [] },
      { ...job, members: [{ ...member, digest: '../../etc/passwd' }, ...job.members.slice(1)] },
      { ...job, members: [{ ...member, size: member.size + 1 }, ...job.members.slice(1)], bytes: job.bytes + 1 },
      { ...job, members: [{ ...member, bases: [job.bases.length] }, ...job.members.slice(1)] },
      { ...job, bases: undefined },
      [],
    ];
    for (const value of changed) expect(() => parseRecordJob(JSON.stringify(value))).toThrow(/^this line is no job/);
    for (const line of ['', 'null', '1', '{', '{}', 'text']) expect(() => parseRecordJob(line)).toThrow(/is no job/);
  });

  it('give the delta that is made at once, done in any order and more than once', async () => {
    const results = newResults();
    const half = jobs.filter((_, index) => index % 2 === 0);
    expect(await run(results, jobs.toReversed(), 1)).toEqual({ made: jobs.length, present: 0 });
    expect(await run(results, half)).toEqual({ made: 0, present: half.length });
    expect(readdirSync(results.directory).sort()).toEqual(jobs.map(({ job }) => `${job}.record`).sort());
    const { bytes, notes, encoded } = await write(results);
    expect(bytes.equals(direct)).toBe(true);
    expect({ notes, encoded }).toEqual({ notes: [], encoded: 0 });
  });

  it('may have results of any size', async () => {
    const store = await newPool(base);
    const large = (seed: number): System =>
      new Map([['large', { type: 'file', content: noise(700_000, seed), mode: 0o644, time: 0, label: '' }]]);
    const images = { from: [await addSystem(store, new Map())], to: [await addSystem(store, large(1))] };
    const results = newResults();
    const plan = await planJobs({ ...images, store, progress: noProgress }, EFFORT, MAKER);
    await runJobs({ jobs: plan, store, results, scratch: base, workers: 1, progress: noProgress });
    const made = await write(results, images, store);
    expect(made).toMatchObject({ notes: [], encoded: 0 });
    expect(made.bytes.equals((await write(undefined, images, store)).bytes)).toBe(true);
  });

  it('may be missing: the rest is made, and left with the others', async () => {
    const results = newResults();
    await run(results, jobs.slice(1, 3));
    const { bytes, encoded } = await write(results);
    expect(bytes.equals(direct)).toBe(true);
    const made = [...jobs.slice(0, 1), ...jobs.slice(3)];
    expect(encoded).toBe(made.reduce((sum, job) => sum + job.bytes, 0));
    expect(readdirSync(results.directory)).toHaveLength(jobs.length);
    expect((await write(results)).encoded).toBe(0);
  });

  it('of another version of osupd are refused', async () => {
    const other = JobResults.open(join(base, 'other'), makerOf('2.0.0'));
    await expect(run(other, jobs.slice(0, 1))).rejects.toMatchObject({ code: 'usage', remedy: /same versions/ });
  });

  it('fail for an object that is not there, and leave no result', async () => {
    const [job] = jobs as [RecordJob];
    const missing = { digest: `${'0'.repeat(63)}1` as RecordJob['members'][number]['digest'], size: 10, bases: [] };
    const results = newResults();
    await expect(run(results, [{ ...job, members: [missing], bytes: 10 }])).rejects.toMatchObject({
      code: 'damaged-store',
    });
    expect(readdirSync(results.directory)).toEqual([]);
  });
});

describe('results that are not what they should be', () => {
  let good: JobResults;
  beforeAll(async () => {
    good = newResults();
    await run(good, jobs);
  });

  async function resultOf(job: RecordJob, codec: string, stored: Buffer): Promise<Buffer> {
    return Buffer.concat(await Array.fromAsync(encodeResult(job.job, codec, chunksOf(stored, 1000))));
  }

  /** Puts bytes in place of one job's result: it must not be used, and a note must name the file. */
  async function expectRefused(job: RecordJob, bytes: Buffer, isWhole: boolean): Promise<void> {
    const path = good.pathOf(job);
    const before = readFileSync(path);
    writeFileSync(path, bytes);
    const notes: string[] = [];
    const progress: Progress = (event) => void (event.kind === 'note' && notes.push(event.text));
    await using spool = await Spool.create(base);
    expect(await good.has(job)).toBe(isWhole);
    expect(await good.find(job, pool, spool, progress)).toBeUndefined();
    expect(notes).toEqual([expect.stringMatching(new RegExp(`^${path}: .*; it is made again$`))]);
    writeFileSync(path, before);
    expect(await good.find(job, pool, spool, progress)).toBeDefined();
  }

  it('are refused when they are cut, longer, flipped, of another job or something else', async () => {
    const [job, other] = jobs as [RecordJob, RecordJob];
    const bytes = readFileSync(good.pathOf(job));
    const flipped = (at: number) => Buffer.from(bytes.map((byte, index) => (index === at ? byte ^ 1 : byte)));
    for (const at of [0, 7, 8, 39, 40, 41, 60, bytes.length - 33, bytes.length - 32, bytes.length - 1])
      await expectRefused(job, flipped(at), false);
    for (const length of [0, 40, 41, 72, bytes.length - 1]) await expectRefused(job, bytes.subarray(0, length), false);
    await expectRefused(job, Buffer.concat([bytes, Buffer.alloc(1)]), false);
    await expectRefused(job, readFileSync(good.pathOf(other)), false);
    await expectRefused(job, noise(5000, 1), false);
  });

  it('are refused, unread, when they are no file or far too large', async () => {
    const [job] = jobs as [RecordJob];
    const path = good.pathOf(job);
    const before = readFileSync(path);
    await using spool = await Spool.create(base);
    const make = [
      () => execFileSync('mkfifo', [path]),
      () => mkdirSync(path),
      () => execFileSync('truncate', ['--size=1T', path]),
    ];
    for (const put of make) {
      rmSync(path, { recursive: true });
      put();
      expect(await good.find(job, pool, spool, noProgress)).toBeUndefined();
    }
    rmSync(path);
    writeFileSync(path, before);
  });

  it('are refused when their content is not that of the objects, whatever their checksum says', async () => {
    const [job, other] = jobs as [RecordJob, RecordJob];
    const codecOf = (bytes: Buffer) => bytes.toString('latin1', 41, 41 + bytes[40]!);
    const storedOf = (bytes: Buffer) => bytes.subarray(41 + bytes[40]!, -32);
    const [own, foreign] = [readFileSync(good.pathOf(job)), readFileSync(good.pathOf(other))];
    const forged = [
      await resultOf(job, codecOf(foreign), storedOf(foreign)),
      await resultOf(job, codecOf(own), Buffer.concat([storedOf(own), storedOf(own)])),
      await resultOf(job, codecOf(own), storedOf(own).subarray(0, -1)),
      await resultOf(job, codecOf(own), Buffer.alloc(0)),
      await resultOf(job, 'codec-of-2040', storedOf(own)),
      await resultOf(job, 'zstd', noise(300, 2)),
    ];
    for (const bytes of forged) await expectRefused(job, bytes, true);
  });

  it('are made again, and the delta is the same', async () => {
    const bad = jobs.slice(0, 3);
    const before = bad.map((job) => readFileSync(good.pathOf(job)));
    for (const [index, job] of bad.entries()) writeFileSync(good.pathOf(job), noise(index * 100, 3));
    const { bytes, notes, encoded } = await write(good);
    expect(bytes.equals(direct)).toBe(true);
    expect(notes).toHaveLength(bad.length);
    expect(encoded).toBe(bad.reduce((sum, job) => sum + job.bytes, 0));
    expect(bad.map((job) => readFileSync(good.pathOf(job)))).toEqual(before);
  });

  it('do not hide what is wrong with the pool', async () => {
    const job = jobs.find(({ bases }) => bases.length > 0)!;
    const lacking = { openObject: () => Promise.reject(Object.assign(new Error('gone'), { code: 'EIO' })) };
    const chunks: Uint8Array[] = [];
    const out = async (chunk: Uint8Array) => void chunks.push(chunk);
    const made = writeDelta({
      ...sides,
      ...{ store: lacking, out, effort: EFFORT, scratch: base, results: good, progress: noProgress },
    });
    await expect(made).rejects.toThrow('gone');
    expect(await good.has(job)).toBe(true);
  });

  it('are no directory: that is an error', () => {
    writeFileSync(join(base, 'file'), '');
    expect(() => JobResults.open(join(base, 'file'), MAKER)).toThrow();
    rmSync(join(base, 'file'));
  });
});
