import { zstdCompressSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { OsupdError } from '../../../../src/core/errors.ts';
import { encodeDecisions } from '../../../../src/delta/containers/zstd/encode-decisions.ts';
import { readZstd } from '../../../../src/delta/containers/zstd/read-frame.ts';
import { FrameRestorer, restoreZstd } from '../../../../src/delta/containers/zstd/restore-frames.ts';
import { mutate, randomNumbers } from '../../../helpers/mutate.ts';
import { describeWith } from '../../../helpers/requirements.ts';
import { compress, compressPipe, isEmulatedExactly, sampleContent } from './samples.ts';

const SCALE = Number(process.env.OSUPD_TEST_SCALE ?? 1);
const LIMITS = { contentBytes: 64 << 20, windowBytes: 1 << 27 };

/** Coded decisions that give the bytes again, with content in uneven pieces. */
function restorable(bytes: Uint8Array, piece = 70_001): Uint8Array {
  const file = readZstd(bytes, LIMITS)!;
  const coded = encodeDecisions(file)!;
  const restorer = new FrameRestorer(coded);
  const parts: Uint8Array[] = [];
  for (let at = 0; at < file.content.length || at === 0; at += piece)
    parts.push(...restorer.append(file.content.subarray(at, at + piece)));
  restorer.finish();
  expect(Buffer.concat(parts).equals(bytes)).toBe(true);
  return coded;
}

/** Bytes for a frame that is emulated exactly, and for each place where it is cut into blocks. */
const EXACT = 60;
const SPLIT = 3;

describeWith(['zstd'], 'frames of the zstd command', () => {
  const sizes = [1, 300, 12_000, 100_000, 150_000, 270_000];

  for (const size of sizes)
    it(`are restored at every level from ${size} bytes of content and next to nothing`, { timeout: 120_000 }, () => {
      const content = sampleContent(size);
      for (const level of size < 100_000 ? [1, 2, 3, 4, 5, 7, 9, 11, 13, 15, 17, 19] : [1, 3, 6, 9, 12, 14, 16, 18]) {
        const bytes = compress(content, [`-${level}`]);
        const coded = restorable(bytes);
        const { blocks } = readZstd(bytes, LIMITS)!.frames[0]!;
        if (isEmulatedExactly()) expect(coded.length).toBeLessThan(EXACT + SPLIT * blocks.length);
      }
    });

  it('are restored where their content is cut into sections for threads', () => {
    const content = sampleContent(2 << 20);
    for (const options of [['-3', '-T2', '-B1MiB'], ['-1'], ['-6', '--zstd=wlog=18'], ['-9', '--no-check']]) {
      const coded = restorable(compress(content, options));
      if (isEmulatedExactly() && !options.includes('-B1MiB')) expect(coded.length).toBeLessThan(EXACT);
    }
  });

  it('are restored where windows are smaller than content', () => {
    const content = sampleContent(1 << 20);
    for (const options of [
      ['-5', '--single-thread', '--zstd=wlog=17'],
      ['-13', '--zstd=wlog=17,clog=16,hlog=16'],
      ['-2', '--single-thread'],
    ])
      restorable(compress(content, options));
  });

  it('are restored where the encoder does not know the size', () => {
    const content = sampleContent(600_000);
    for (const options of [['-3'], ['-7'], ['-1', '--fast=3']]) restorable(compressPipe(content, options));
  });

  it('are restored with long windows and long distance matching', () => {
    const part = sampleContent(300_000);
    const content = Buffer.concat([part, sampleContent(600_000).reverse(), part]);
    for (const options of [
      ['-3', '--long=27'],
      ['-9', '--long'],
    ])
      restorable(compress(content, options));
  });

  it('are restored at the levels above 19', () => {
    const content = sampleContent(60_000);
    for (const level of [20, 22]) restorable(compress(content, ['--ultra', `-${level}`]));
  });

  it('are restored one after the other, with skippable ones between and empty ones', () => {
    const skippable = Buffer.from('5e2a4d1805000000hello', 'latin1');
    const frame = Buffer.concat([Buffer.from([0x5e, 0x2a, 0x4d, 0x18, 5, 0, 0, 0]), Buffer.from('hello')]);
    expect(readZstd(skippable, LIMITS)).toBeUndefined();
    const content = sampleContent(200_000);
    const first = compress(content, ['-3']);
    const second = compressPipe(content.subarray(0, 90_000), ['-3']);
    restorable(Buffer.concat([first, frame, second, compress(Buffer.alloc(0), ['-3']), frame]));
  });

  it('are restored where content repeats one byte or is random', () => {
    const random = randomNumbers(7);
    const noise = Buffer.from(Uint8Array.from({ length: 140_000 }, () => random() * 256));
    const content = Buffer.concat([Buffer.alloc(300_000, 7), noise, Buffer.alloc(5), noise.subarray(1000)]);
    for (const level of [1, 3, 6, 9, 13, 16, 19]) restorable(compress(content, [`-${level}`]), 128 << 10);
  });

  it('are streams on the way back', async () => {
    const content = sampleContent(300_000);
    const bytes = compress(content, ['-3']);
    const coded = encodeDecisions(readZstd(bytes, LIMITS)!)!;
    const parts: Uint8Array[] = [];
    for await (const part of restoreZstd([content.subarray(0, 1), content.subarray(1)], coded)) parts.push(part);
    expect(Buffer.concat(parts).equals(bytes)).toBe(true);
    const drain = async (pieces: Uint8Array[]) => {
      for await (const part of restoreZstd(pieces, coded)) expect(part.length).toBeGreaterThan(0);
    };
    await expect(drain([content.subarray(0, 299_999)])).rejects.toThrow(/too early/);
    await expect(drain([content, content])).rejects.toThrow(/too long/);
  });
});

describe('frames of another encoder', () => {
  it('are restored, whatever version the runtime has', () => {
    const content = sampleContent(150_000);
    for (const level of [1, 3, 5, 9, 13, 16]) restorable(zstdCompressSync(content, { params: { 100: level } }));
  });
});

describeWith(['zstd'], 'damage', () => {
  const content = sampleContent(6000);

  it('in frames is noticed or gives other content, and nothing else', () => {
    const random = randomNumbers(1);
    for (const level of [1, 5, 19]) {
      const bytes = compress(content, [`-${level}`]);
      let read = 0;
      for (let count = 0; count < 3500 * SCALE; count++) {
        const file = readZstd(mutate(bytes, random), { contentBytes: 1 << 20, windowBytes: 1 << 20 });
        if (file === undefined) continue;
        read++;
        expect(file.content.length).toBeLessThanOrEqual(1 << 20);
        if (count % 400 === 0 && encodeDecisions(file) !== undefined) restorable(file.bytes);
      }
      expect(read).toBeGreaterThan(0);
    }
  }, 60_000);

  it('in coded decisions ends as an error of a delta or as other bytes', () => {
    const random = randomNumbers(2);
    for (const level of [3, 9, 16]) {
      const coded = encodeDecisions(readZstd(compress(content, [`-${level}`, '--zstd=wlog=12']), LIMITS)!)!;
      for (let count = 0; count < 400 * SCALE; count++) {
        try {
          const restorer = new FrameRestorer(mutate(coded, random));
          if (restorer.contentSize > content.length) continue;
          restorer.append(content.subarray(0, restorer.contentSize));
          restorer.finish();
        } catch (error) {
          expect(error).toBeInstanceOf(OsupdError);
          expect((error as OsupdError).code).toBe('damaged-delta');
        }
      }
    }
  }, 60_000);
});
