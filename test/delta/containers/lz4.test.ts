import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { collect } from '../../../src/core/bytes.ts';
import { bzImage } from '../../../src/delta/containers/bzimage.ts';
import {
  encodeLegacyDecisions,
  type LegacyFrame,
  LegacyRestorer,
  readLegacyFrame,
} from '../../../src/delta/containers/lz4/legacy-frame.ts';
import { unpackStreamed } from '../../../src/delta/containers/unpack-streamed.ts';
import { mutate, randomNumbers } from '../../helpers/mutate.ts';
import { chunksOf } from '../../helpers/pools.ts';
import { describeWith } from '../../helpers/requirements.ts';

const SCALE = Number(process.env.OSUPD_TEST_SCALE ?? 1);
const LIMIT = 1 << 26;

function lz4(content: Uint8Array, level: number): Buffer {
  return execFileSync('lz4', ['-l', `-${level}`, '-c'], { input: content, maxBuffer: LIMIT });
}

function read(frame: Uint8Array): LegacyFrame {
  const found = readLegacyFrame(frame, 0, frame.length, LIMIT);
  if (found === undefined) throw new Error('not read');
  return found;
}

function restore(content: Uint8Array, decisions: Uint8Array, piece = content.length + 1): Buffer {
  const restorer = new LegacyRestorer(decisions);
  const out: Uint8Array[] = [];
  for (let at = 0; at < content.length; at += piece) out.push(...restorer.append(content.subarray(at, at + piece)));
  return Buffer.concat([...out, ...restorer.finish()]);
}

/** Program, text, runs of several bytes, noise, zeros. */
function mixedContent(): Buffer {
  const random = randomNumbers(3);
  const noise = Buffer.from(Array.from({ length: 40_000 }, () => Math.floor(random() * 256)));
  const runs = Array.from({ length: 300 }, (_, at) => Buffer.alloc(1 + ((at * 37) % 900), at % 5));
  const text = Array.from({ length: 3000 }, (_, line) => `line ${line} of ${line % 89}\n`).join('');
  const program = readFileSync(process.execPath).subarray(4 << 20, (4 << 20) + 300_000);
  return Buffer.concat([
    program,
    Buffer.from(text),
    ...runs,
    noise,
    Buffer.alloc(200_000),
    noise.subarray(100, 30_000),
  ]);
}

describeWith(['lz4'], 'Decisions of lz4 -l', () => {
  const content = mixedContent();

  it.each([3, 4, 5, 6, 7, 8, 9])('are all predicted at level %i', (level) => {
    const frame = lz4(content, level);
    const found = read(frame);
    expect(Buffer.compare(found.content, content)).toBe(0);
    const decisions = encodeLegacyDecisions(found);
    expect(decisions).toEqual(Buffer.from([level, 0]));
    expect(restore(content, decisions as Uint8Array, 10_007).equals(frame)).toBe(true);
  });

  it('are all predicted for two blocks, of which the second is short', () => {
    const long = Buffer.concat([Buffer.alloc(8 << 20, content.subarray(0, 200_000)), content.subarray(0, 13)]);
    const frame = lz4(long, 9);
    const decisions = encodeLegacyDecisions(read(frame)) as Uint8Array;
    expect(decisions).toHaveLength(3);
    expect(restore(long, decisions, 1 << 20).equals(frame)).toBe(true);
  });

  it.each([1, 2, 5, 11, 12, 13, 14, 20])('are all predicted for %i bytes', (length) => {
    const frame = lz4(Buffer.alloc(length, 7), 9);
    const decisions = encodeLegacyDecisions(read(frame)) as Uint8Array;
    expect(restore(Buffer.alloc(length, 7), decisions).equals(frame)).toBe(true);
  });

  it('come back from the fast compressor and from the optimal one too, or are left alone', () => {
    for (const level of [1, 12]) {
      const frame = lz4(content.subarray(0, 350_000), level);
      const found = read(frame);
      const decisions = encodeLegacyDecisions(found);
      if (decisions !== undefined) expect(restore(found.content, decisions).equals(frame)).toBe(true);
    }
  });

  it('that are damaged end as an error or as other bytes', () => {
    const part = content.subarray(0, 60_000);
    const found = read(lz4(part, 12));
    const decisions = encodeLegacyDecisions(found);
    const random = randomNumbers(9);
    for (let round = 0; round < 200 * SCALE; round++) {
      const changed = mutate(decisions ?? Buffer.from([9, 2, 5, 3, 2, 1, 900, 9, 0]), random);
      try {
        expect(restore(part, changed).length).toBeLessThan(1 << 20);
      } catch (error) {
        expect(error).toMatchObject({ code: 'damaged-delta' });
      }
    }
  });

  it('of frames that are damaged are not read, or come back as they are', () => {
    const frame = lz4(content.subarray(250_000, 400_000), 9);
    const random = randomNumbers(5);
    let readable = 0;
    for (let round = 0; round < 500 * SCALE; round++) {
      const changed = mutate(frame, random);
      const found = readLegacyFrame(changed, 0, changed.length, 1 << 20);
      if (found === undefined) continue;
      readable++;
      const decisions = readable % 8 === 0 ? encodeLegacyDecisions(found) : undefined;
      if (decisions === undefined) continue;
      expect(restore(found.content, decisions).equals(changed.subarray(0, found.end))).toBe(true);
    }
    expect(readable).toBeGreaterThan(0);
  });

  it('are part of the recipe of a kernel', async () => {
    const payload = lz4(content, 9);
    const kernel = kernelWith(payload, content.length);
    expect(bzImage.begins(kernel)).toBe(true);
    const file = bzImage.describe(kernel, LIMIT);
    if (file === undefined) throw new Error('not described');
    expect(file.parts.map(({ length }) => length)).toEqual([kernel.length - payload.length, content.length]);
    expect(await unpackStreamed(bzImage, kernel, LIMIT)).toEqual(file.parts.map((part) => Buffer.from(part)));
    expect(file.recipe.length).toBeLessThan(10);
    const parts = file.parts.map((part) => ({ size: part.length, chunks: chunksOf(part, 10_000) }));
    expect((await collect(bzImage.restoreStream(parts, file.recipe))).equals(kernel)).toBe(true);
    expect(await unpackStreamed(bzImage, kernel, content.length)).toBeUndefined();
  });
});

/** A file with the header of a kernel, five sectors of setup, some code, the payload, its size, and more code. */
function kernelWith(payload: Buffer, size: number): Buffer {
  const setup = Buffer.alloc(6 * 512, 1);
  setup[0x1f1] = 5;
  setup.writeUInt32LE(0x53726448, 0x202);
  setup.writeUInt16LE(0x020f, 0x206);
  setup.writeUInt32LE(100, 0x248);
  setup.writeUInt32LE(payload.length + 4, 0x24c);
  const sizeWord = Buffer.alloc(4);
  sizeWord.writeUInt32LE(size);
  return Buffer.concat([setup, Buffer.alloc(100, 2), payload, sizeWord, Buffer.alloc(5000, 3)]);
}

describe('A file that is no kernel', () => {
  it('is not taken for one', () => {
    const kernel = kernelWith(Buffer.alloc(100), 5);
    expect(bzImage.begins(kernel.subarray(0, 0x24f))).toBe(false);
    expect(bzImage.begins(Buffer.alloc(5000))).toBe(false);
    kernel.writeUInt32LE(0xffffffff, 0x24c);
    expect(bzImage.begins(kernel)).toBe(false);
    kernel.writeUInt32LE(0, 0x24c);
    expect(bzImage.begins(kernel)).toBe(false);
  });
});
