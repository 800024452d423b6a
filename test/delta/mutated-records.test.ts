/**
 * A delta whose records are differenced and coded adaptively, damaged in many ways, on threads and without: each try ends as an error that
 * says so or makes no difference, and no object is ever there that has not its digest.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Digest } from '../../src/core/digest.ts';
import { OsupdError } from '../../src/core/errors.ts';
import { noProgress } from '../../src/core/progress.ts';
import { applyRecords, type DeltaPlan, namedBy, planRecords } from '../../src/delta/apply.ts';
import type { DeltaImage } from '../../src/delta/write.ts';
import { fsverityDigest } from '../../src/objects/fsverity.ts';
import { ObjectBatch } from '../../src/objects/ingest.ts';
import type { Pool } from '../../src/objects/pool.ts';
import { mutate, randomNumbers } from '../helpers/mutate.ts';
import { noise, problemsOf } from '../helpers/pools.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';
import {
  addSystem,
  copyObjects,
  digestsOf,
  type Item,
  imageBytes,
  type MadeDelta,
  makeDelta,
  newPool,
  objectsIn,
  readerOf,
  type System,
} from './fixture.ts';

const SCALE = Number(process.env.OSUPD_TEST_SCALE ?? 1);
const directory = temporaryDirectory();

function file(content: Buffer): Item {
  return { type: 'file', content, mode: 0o755, time: 1_700_000_000, label: '' };
}

/** Programs of this machine where there are any, so that projections take part; texts; noise. */
function systemOf(programs: readonly string[], change: (content: Buffer) => Buffer): System {
  const contents = programs.map((path) => (existsSync(path) ? readFileSync(path) : noise(30_000, path.length)));
  const text = Buffer.from('a line of a text that is long enough to be worth a copy\n'.repeat(50));
  return new Map([
    ...contents.map((content, index): [string, Item] => [`usr/bin/program-${index}`, file(change(content))]),
    ['usr/share/doc/text', file(change(text))],
    ['usr/share/noise', file(change(noise(9000, 3)))],
  ]);
}

let from: DeltaImage[];
let to: DeltaImage[];
let delta: MadeDelta;
let device: Pool;
let plan: DeltaPlan;

beforeAll(async () => {
  const store = await newPool(directory);
  const random = randomNumbers(3);
  const edited = (content: Buffer) => {
    const at = Math.floor(random() * content.length);
    return Buffer.concat([content.subarray(0, at), noise(60, at), content.subarray(at + 20)]);
  };
  from = [
    await addSystem(
      store,
      systemOf(['/usr/bin/true', '/usr/bin/head'], (content) => content),
    ),
  ];
  to = [await addSystem(store, systemOf(['/usr/bin/false', '/usr/bin/tail'], edited))];
  delta = await makeDelta(store, { from, to }, { effort: 7 });
  device = await newPool(directory);
  await copyObjects(store, device, digestsOf(from));
  const images = new Map([...imageBytes(from), ...imageBytes(to)]);
  plan = planRecords(delta.head, namedBy(images), (digest: Digest) => device.hasObject(digest));
});

/** Takes the records of a delta; what they bring is looked at, and does not stay. */
async function take(bytes: Uint8Array, threads: number): Promise<string | undefined> {
  const batch = await ObjectBatch.open(device, { workers: 1 });
  try {
    await applyRecords(plan, readerOf(bytes), batch, { progress: noProgress, threads });
    for (const { digest, size } of plan.objects) expect(batch.has(digest, size)).toBe(true);
    return undefined;
  } catch (error) {
    if (!(error instanceof OsupdError)) throw error;
    return error.code;
  } finally {
    for (const { digest } of plan.objects) {
      if (!batch.has(digest)) continue;
      await using object = await batch.open(digest);
      expect(fsverityDigest(await object.read(0, object.size))).toBe(digest);
    }
    await batch.abort();
  }
}

describe('a delta with damaged records', () => {
  it('is differenced, and good before', async () => {
    expect(Object.keys(delta.summary.byCodec)).toContain('difference');
    for (const threads of [0, 2]) expect(await take(delta.bytes, threads)).toBeUndefined();
  });

  for (const [threads, runs] of [
    [0, 100],
    [2, 4],
  ] as const) {
    it(`is refused, ${threads === 0 ? 'on this thread' : 'on others'}`, { timeout: 120_000 * SCALE }, async () => {
      const random = randomNumbers(71 + threads);
      const head = delta.bytes.subarray(0, delta.head.size);
      let refused = 0;
      for (let run = 0; run < runs * SCALE; run++) {
        const damaged = Buffer.concat([head, mutate(delta.bytes.subarray(head.length), random)]);
        const code = await take(damaged, threads);
        if (code === undefined) continue;
        expect(['damaged-delta', 'verification-failed', 'unsupported']).toContain(code);
        refused++;
      }
      expect(refused).toBeGreaterThan((runs * SCALE) / 3);
      expect(await objectsIn(device)).toEqual(digestsOf(from).sort());
      expect(await problemsOf(device)).toEqual([]);
      expect(readdirSync(join(device.directory, 'staging'))).toEqual(['lock']);
    });
  }
});
