/**
 * Initrds as initramfs-tools makes them, of files of their system: the delta names these files, and brings the initrd back bit for bit; and
 * damaged records of it are refused.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import type { Digest } from '../../src/core/digest.ts';
import { OsupdError } from '../../src/core/errors.ts';
import { noProgress } from '../../src/core/progress.ts';
import { applyRecords, type DeltaPlan, namedBy, planRecords } from '../../src/delta/apply.ts';
import type { DeltaFile } from '../../src/delta/delta-file.ts';
import { explainDelta } from '../../src/delta/explain.ts';
import type { DeltaImage } from '../../src/delta/write.ts';
import { ObjectBatch } from '../../src/objects/ingest.ts';
import type { Pool } from '../../src/objects/pool.ts';
import type { ReadRange } from '../../src/transport/source.ts';
import { mutate, randomNumbers } from '../helpers/mutate.ts';
import { chunksOf, noise } from '../helpers/pools.ts';
import { describeWith } from '../helpers/requirements.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';
import {
  addSystem,
  applyDelta,
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
const PROGRAMS = ['/usr/bin/true', '/usr/bin/kmod', '/usr/bin/head', '/usr/bin/mount'];

type Compressor = (archive: Buffer) => Buffer;
const zstd: Compressor = (archive) => execFileSync('zstd', ['-q', '-9', '-c'], { input: archive, maxBuffer: 1 << 28 });
const gzip: Compressor = (archive) => execFileSync('gzip', ['-9n'], { input: archive, maxBuffer: 1 << 28 });
const lz4: Compressor = (archive) => execFileSync('lz4', ['-l', '-9', '-c'], { input: archive, maxBuffer: 1 << 28 });
const plain: Compressor = (archive) => archive;

function archiveOf(files: ReadonlyMap<string, Buffer>, name: string): Buffer {
  const root = join(directory, name);
  for (const [path, content] of files) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
  const list = execFileSync('sh', ['-c', 'find . | LC_ALL=C sort'], { cwd: root });
  return execFileSync('cpio', ['-o', '-H', 'newc', '--quiet', '-R', '0:0'], {
    cwd: root,
    input: list,
    maxBuffer: 1 << 28,
  });
}

function file(content: Buffer): Item {
  return { type: 'file', content, mode: 0o755, time: 1_700_000_000, label: '' };
}

/** A system of some version with its initrd: every program has changed a little, and a file is in the initrd alone. */
function systemOf(version: number, compress: Compressor, name: string): System {
  const programs = PROGRAMS.filter((path) => existsSync(path)).map((path): [string, Buffer] => {
    const content = Buffer.concat([readFileSync(path), noise(20_000, path.length)]);
    content.fill(version, 10_000, 10_016);
    return [path.slice(1), content];
  });
  const early = archiveOf(
    new Map([['kernel/x86/microcode/GenuineIntel.bin', noise(10_000, version)]]),
    `${name}-early`,
  );
  const script = Buffer.from(`# the script of version ${version}\n${'echo a line of a script\n'.repeat(200)}`);
  const main = archiveOf(new Map([...programs, ['init', script]]), name);
  return new Map([
    ...programs.map(([path, content]): [string, Item] => [path, file(content)]),
    [
      `boot/initrd.img-6.1.0-${version}`,
      file(Buffer.concat([early, Buffer.alloc(1024 - (early.length % 512)), compress(main)])),
    ],
  ]);
}

interface Case {
  readonly store: Pool;
  readonly from: DeltaImage[];
  readonly to: DeltaImage[];
  readonly delta: MadeDelta;
}

async function caseOf(compress: Compressor, name: string, hasOld = true): Promise<Case> {
  const store = await newPool(directory);
  const from = hasOld ? [await addSystem(store, systemOf(50, compress, `${name}-50`))] : [];
  const to = [await addSystem(store, systemOf(56, compress, `${name}-56`))];
  return { store, from, to, delta: await makeDelta(store, { from, to }) };
}

async function expectRestored({ store, from, to, delta }: Case): Promise<void> {
  const device = await newPool(directory);
  await copyObjects(store, device, digestsOf(from));
  await applyDelta(delta, from, device);
  expect(await objectsIn(device)).toEqual([...new Set([...digestsOf(from), ...digestsOf(to)])].sort());
}

describeWith(['cpio', 'zstd', 'gzip', 'lz4'], 'an initrd', () => {
  let whole: Case;

  beforeAll(async () => {
    whole = await caseOf(zstd, 'zstd');
  });

  it('costs no more than what is in it alone, and comes back', async () => {
    // The microcode is noise of its own.
    expect(whole.delta.summary.byKind.initrd!.stored).toBeLessThan(13_000);
    expect(whole.delta.summary.byKind.initrd!.codecs).toHaveProperty('unpacked');
    await expectRestored(whole);
  });

  it('is told what its bytes are', async () => {
    const { bytes, head } = whole.delta;
    const read = ({ offset, length }: ReadRange) => chunksOf(bytes.subarray(offset, offset + length), 1000);
    const lines = await Array.fromAsync(explainDelta({ head, read } as DeltaFile));
    const text = lines.join('\n');
    expect(text).toMatch(/content \d+ bytes by \S+; decisions \d+ and \d+ bytes about parts, stored in \d+ bytes/);
    expect(text).toMatch(/members: 1 archives with \d bases in it; bases: \d contained, 1 archives without \d files/);
  });

  for (const [title, compress] of [
    ['is not compressed', plain],
    ['is compressed by LZ4', lz4],
  ] as const) {
    it(`comes back where it ${title}`, async () => {
      const other = await caseOf(compress, compress.name);
      expect(other.delta.summary.byKind.initrd!.stored).toBeLessThan(13_000);
      await expectRestored(other);
    });
  }

  it('comes back where its archives are in a form that is not taken apart', async () => {
    await expectRestored(await caseOf((archive) => gzip(Buffer.concat([archive])).reverse(), 'reversed'));
  });

  it('comes back where a device has no old one', async () => {
    await expectRestored(await caseOf(zstd, 'first', false));
  });

  for (const [threads, runs] of [
    [0, 40],
    [2, 4],
  ] as const) {
    const title = `is refused where its record is damaged, ${threads === 0 ? 'on this thread' : 'on others'}`;
    it(title, { timeout: 120_000 * SCALE }, async () => {
      const { store, from, to, delta } = whole;
      const device = await newPool(directory);
      await copyObjects(store, device, digestsOf(from));
      const images = new Map([...imageBytes(from), ...imageBytes(to)]);
      const programs = planRecords(delta.head, namedBy(images), (digest: Digest) => device.hasObject(digest));
      await take(programs, delta.bytes, device, 0, true);
      const plan = planRecords(delta.head, namedBy(images), (digest: Digest) => device.hasObject(digest));
      const { offset, length } = plan.records.at(-1)!.range;
      const random = randomNumbers(7 + threads);
      const present = await objectsIn(device);
      let refused = 0;
      for (let run = 0; run < runs * SCALE; run++) {
        const record = mutate(delta.bytes.subarray(offset, offset + Math.min(length, 400)), random);
        const damaged = Buffer.concat([
          delta.bytes.subarray(0, offset),
          record,
          delta.bytes.subarray(offset + record.length),
        ]);
        const code = await take(plan, damaged, device, threads, false);
        if (code === undefined) continue;
        expect(['damaged-delta', 'verification-failed', 'unsupported']).toContain(code);
        refused++;
      }
      expect(refused).toBeGreaterThan((runs * SCALE) / 3);
      expect(await objectsIn(device)).toEqual(present);
    });
  }
});

/** Takes the records of a plan; only good ones that are to be kept stay, and of those not the last. */
async function take(
  plan: DeltaPlan,
  bytes: Uint8Array,
  device: Pool,
  threads: number,
  keepAllButLast: boolean,
): Promise<string | undefined> {
  const batch = await ObjectBatch.open(device, { workers: 1 });
  const records = keepAllButLast ? plan.records.slice(0, -1) : plan.records;
  const ranges = records.map(({ range }) => range);
  try {
    await applyRecords({ ...plan, records, ranges }, readerOf(bytes), batch, { progress: noProgress, threads });
    if (keepAllButLast) await batch.flush();
    return undefined;
  } catch (error) {
    if (!(error instanceof OsupdError)) throw error;
    return error.code;
  } finally {
    await batch.abort();
  }
}
