/**
 * Damaged archives: whatever the bytes are, reading ends, as a tree or one of our errors, with little memory.
 * OSUPD_TEST_SCALE multiplies the number of cases.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { gunzipSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import type { Digest } from '../../src/core/digest.ts';
import { OsupdError } from '../../src/core/errors.ts';
import { applyLayer } from '../../src/tree/layers.ts';
import { readTar } from '../../src/tree/read-tar.ts';
import { generator } from '../helpers/odd-tree.ts';
import { itWith } from '../helpers/requirements.ts';
import { stream } from '../helpers/tar-writer.ts';
import { directory } from '../helpers/trees.ts';

const SCALE = Number(process.env.OSUPD_TEST_SCALE ?? 1);
const GOLDEN = new URL('../golden/tar/', import.meta.url);

/** A disk with little room, so that a sparse file of gigabytes ends soon. */
const store = {
  async put(content: AsyncIterable<Uint8Array>): Promise<Digest> {
    let length = 0;
    for await (const chunk of content) {
      length += chunk.length;
      if (length > 1 << 22) throw new OsupdError('no-space', 'the disk is full');
    }
    return '0'.repeat(64) as Digest;
  },
};

const CODES = /^(invalid-tar|invalid-tree|limit-exceeded|no-space)$/;

/** Reads it as a tree and as a layer on itself. */
async function mustEnd(bytes: Uint8Array, what: string): Promise<boolean> {
  try {
    const tree = await readTar(stream(bytes), { inlineLimit: 64, store, where: 'archive' });
    applyLayer({ root: directory() }, tree);
    return true;
  } catch (error) {
    if (error instanceof OsupdError && CODES.test(error.code)) return false;
    throw new Error(`${what} ended in no error of ours`, { cause: error });
  }
}

function seeds(): { name: string; bytes: Buffer }[] {
  return ['made', 'tar-rs', 'tar-split', 'tar-stream'].flatMap((set) =>
    readdirSync(new URL(`${set}/`, GOLDEN))
      .filter((name) => /\.t(ar|gz|ar\.gz)$/.test(name))
      .map((name) => {
        const bytes = readFileSync(new URL(`${set}/${name}`, GOLDEN));
        // What is behind the compression is what is to be damaged.
        return { name, bytes: /gz$/.test(name) ? gunzipSync(bytes) : bytes };
      })
      .filter(({ bytes }) => bytes.length > 0 && bytes.length <= 20_000),
  );
}

const INTERESTING = [
  Buffer.from('7777777'),
  Buffer.from('00000000000'),
  Buffer.from([0x80, 0, 0, 0, 0x7f]),
  Buffer.from([0xff, 0xff]),
  Buffer.from('-1'),
  Buffer.from('../..'),
  Buffer.alloc(12),
];

/** One to four changes: bits, interesting bytes in header fields, blocks moved, doubled or left out; the checksums made right again, mostly. */
function damage(bytes: Buffer, random: (limit: number) => number): Buffer {
  let result = Buffer.from(bytes);
  const block = () => random(Math.ceil(result.length / 512)) * 512;
  for (let changes = 1 + random(4); changes > 0; changes--) {
    const kind = random(6);
    const at = kind < 2 ? random(result.length) : block();
    if (kind === 0) result[at] = (result[at] ?? 0) ^ (1 << random(8));
    else if (kind === 1) result[at] = random(256);
    else if (kind === 2)
      (INTERESTING[random(INTERESTING.length)] as Buffer).copy(
        result,
        at + ([0, 100, 108, 116, 124, 136, 156, 157, 345, 386, 483][random(11)] as number),
      );
    else if (kind === 3) result = Buffer.concat([result.subarray(0, at), result.subarray(at + 512)]);
    else if (kind === 4)
      result = Buffer.concat([result.subarray(0, at), result.subarray(block(), block() + 512), result.subarray(at)]);
    else result[at + 156] = '01234567xgLKSDVMNX'.charCodeAt(random(18));
    if (result.length === 0) return bytes;
  }
  if (random(8) > 0)
    for (let at = 0; at + 512 <= result.length; at += 512)
      if (result.toString('latin1', at + 257, at + 262) === 'ustar') repair(result, at);
  return result;
}

function repair(bytes: Buffer, at: number): void {
  bytes.fill(0x20, at + 148, at + 156);
  const sum = bytes.subarray(at, at + 512).reduce((total, byte) => total + byte, 0);
  bytes.write(`${sum.toString(8).padStart(6, '0')}\0 `, at + 148, 'latin1');
}

describe('damaged archives end in a tree or an error', () => {
  it('cut off at any place', async () => {
    const random = generator(1);
    for (const { name, bytes } of seeds())
      for (let count = Math.ceil(10 * SCALE); count > 0; count--) {
        const length = random(bytes.length);
        await mustEnd(bytes.subarray(0, length), `${name} cut at ${length}`);
      }
  });

  it('changed, with little memory', async () => {
    const all = seeds();
    let readable = 0;
    let peak = 0;
    const total = Math.ceil(6000 * SCALE);
    for (let seed = 0; seed < total; seed++) {
      const { name, bytes } = all[seed % all.length] as { name: string; bytes: Buffer };
      if (await mustEnd(damage(bytes, generator(seed)), `${name} with the damage ${seed}`)) readable++;
      if (seed % 100 === 0) peak = Math.max(peak, process.memoryUsage().rss);
    }
    // The damage must not be so coarse that nothing comes through the first checks.
    expect(readable).toBeGreaterThan(total / 20);
    expect(peak).toBeLessThan(600 << 20);
  }, 3_600_000);

  const inside = readFileSync(new URL('made/tool-gnu-pax.tar', GOLDEN));
  const compressions: [string, () => Buffer, string[]][] = [
    ['gzip', () => gzipSync(inside), []],
    ['zstd', () => zstdCompressSync(inside), []],
    ['xz', () => execFileSync('xz', ['-c'], { input: inside }), ['xz']],
  ];
  for (const [name, make, programs] of compressions)
    itWith(
      programs,
      `compressed with ${name} and changed`,
      async () => {
        const bytes = make();
        for (let seed = 0; seed < Math.ceil(200 * SCALE); seed++) {
          const random = generator(seed);
          const changed = Buffer.from(bytes.subarray(0, random(3) === 0 ? random(bytes.length) : bytes.length));
          for (let changes = random(4); changes > 0 && changed.length > 0; changes--)
            changed[random(changed.length)] = random(256);
          await mustEnd(changed, `${name} with the damage ${seed}`);
        }
      },
      3_600_000,
    );

  it('rubbish', async () => {
    for (let seed = 0; seed < Math.ceil(500 * SCALE); seed++) {
      const random = generator(seed);
      const bytes = Buffer.from(Array.from({ length: random(3000) }, () => random(random(2) === 0 ? 256 : 4)));
      await mustEnd(bytes, `rubbish ${seed}`);
    }
  }, 3_600_000);
});
