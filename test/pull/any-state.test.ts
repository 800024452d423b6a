import { readFileSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Digest } from '../../src/core/digest.ts';
import { decodeImage } from '../../src/image/read.ts';
import { ObjectBatch } from '../../src/objects/ingest.ts';
import { objectsOf } from '../../src/tree/references.ts';
import { type Nginx, startNginx } from '../helpers/nginx.ts';
import { describeWith } from '../helpers/requirements.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';
import { content, type Files, leftovers, poolProblems, TestSite } from './fixture.ts';

const RUNS = 12 * Number(process.env.OSUPD_TEST_SCALE ?? 1);
const VERSIONS = [1, 2, 3, 4];

/** Each file changes at its own pace, by a little or as a whole. */
function version(number: number): Files {
  const files: Record<string, Buffer> = {};
  for (let at = 0; at < 12; at++) {
    const step = Math.floor(number / (1 + (at % 4)));
    files[`part-${at}.${at % 3}`] =
      at % 2 === 0 ? content(`part ${at}`, step, 15_000) : content(`part ${at} of ${step}`, 0, 12_000);
  }
  return files;
}

async function* one(bytes: Uint8Array) {
  yield bytes;
}

/** Deltas between all releases, later ones from earlier ones, and from nothing. */
const EDGES = VERSIONS.flatMap((to) => [0, ...VERSIONS.filter((from) => from < to)].map((from) => [from, to] as const));

describeWith(['nginx'], 'a pull from nginx', () => {
  let site: TestSite;
  let nginx: Nginx;
  const files = new Map<string, string>();

  beforeAll(async () => {
    site = await TestSite.create(temporaryDirectory());
    for (const number of VERSIONS) await site.release(`os@${number}`, version(number));
    for (const [from, to] of EDGES) {
      files.set(`${from}-${to}`, await site.delta(from === 0 ? [] : [`os@${from}`], [`os@${to}`]));
    }
    nginx = await startNginx(site.repository.directory);
  });
  afterAll(async () => {
    await nginx.close();
    await site.server.close();
  });

  const objectsIn = (number: number): Digest[] => {
    const path = `${site.repository.pool}/images/${site.images.get(`os@${number}`)}`;
    return objectsOf(decodeImage(readFileSync(path))).map(({ digest }) => digest);
  };

  describe('over any deltas, onto any pool', () => {
    it('ends with the whole image, at the price that was told', { timeout: 60_000 + RUNS * 5000 }, async () => {
      const state = fc.record({
        has: fc.subarray(VERSIONS.slice(0, 3), { maxLength: 2 }),
        wants: fc.constantFrom(...VERSIONS),
        // Single objects that came some other way, or were lost.
        extra: fc.array(fc.nat(1000), { maxLength: 8 }),
        gone: fc.subarray(EDGES.map(([from, to]) => `${from}-${to}`)),
      });
      await fc.assert(
        fc.asyncProperty(state, async ({ has, wants, extra, gone }) => {
          const device = await site.device();
          device.url = nginx.url;
          for (const number of has) await device.pull(`os@${number}`);
          const all = VERSIONS.flatMap(objectsIn);
          const batch = await ObjectBatch.open(device.pool);
          for (const number of extra) {
            const bytes = readFileSync(objectIn(all[number % all.length]!));
            await batch.add(one(bytes));
          }
          await batch.close();
          const kept = gone.map((name) => `${site.repository.directory}/${files.get(name)}`);
          const contents = kept.map((path) => readFileSync(path));
          for (const path of kept) writeFileSync(path, '');
          try {
            const plan = await device.plan(`os@${wants}`);
            const summary = await device.pull(`os@${wants}`);
            expect(summary.downloaded).toBe(plan.bytes);
          } finally {
            for (const [index, path] of kept.entries()) writeFileSync(path, contents[index]!);
          }
          expect(await poolProblems(device.pool)).toEqual([]);
          expect(leftovers(device.pool)).toEqual([]);
          expect(device.pool.hasImage(site.images.get(`os@${wants}`)!)).toBe(true);
        }),
        { numRuns: RUNS },
      );
    });
  });

  function objectIn(digest: Digest): string {
    return `${site.repository.pool}/objects/${digest.slice(0, 2)}/${digest.slice(2)}`;
  }
});
