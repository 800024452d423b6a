import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { constants, deflateRawSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeDecisions } from '../../../src/delta/containers/deflate/encode-decisions.ts';
import { type DeflateStream, readStream } from '../../../src/delta/containers/deflate/read-stream.ts';
import { restoreStream } from '../../../src/delta/containers/deflate/restore-stream.ts';
import { describeWith } from '../../helpers/requirements.ts';

const MAX_CONTENT = 1 << 26;
const SCALE = Number(process.env.OSUPD_TEST_SCALE ?? 1);

function read(stream: Uint8Array): DeflateStream {
  const found = readStream(stream, 0, MAX_CONTENT);
  if (found === undefined) throw new Error('not read');
  return found;
}

/** Reads a stream, restores it, and gives the size of its decisions; undefined when they are not worth it. */
function checkRoundTrip(stream: Uint8Array, content: Uint8Array): number | undefined {
  const found = read(stream);
  expect(found.end).toBe(stream.length);
  expect(Buffer.compare(found.content, content)).toBe(0);
  const decisions = encodeDecisions(found);
  if (decisions === undefined) return undefined;
  const restored = Buffer.concat([...restoreStream(found.content, decisions)]);
  expect(restored.equals(stream)).toBe(true);
  return decisions.length;
}

/** Text, program, numbers, zeros, noise: 300 kB in all. */
function mixedContent(): Buffer {
  const noise = Buffer.alloc(70_000);
  let state = 1;
  for (let at = 0; at < noise.length; at++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    noise[at] = state >>> 24;
  }
  const text = Array.from({ length: 2500 }, (_, line) => `line ${line} of ${line % 97} and ${line * line}\n`).join('');
  return Buffer.concat([
    Buffer.from(text),
    readFileSync(process.execPath).subarray(1 << 20, (1 << 20) + 100_000),
    noise,
    Buffer.alloc(30_000),
    Buffer.from(text.slice(5, 40_000)),
  ]);
}

/** The body of a gzip file with a ten-byte header. */
function bodyOf(file: Buffer): Buffer {
  expect(file[3]).toBe(0);
  return file.subarray(10, file.length - 8);
}

describeWith(['gzip', 'python3'], 'Decisions of the compressors in use', () => {
  const content = mixedContent();

  it.each([1, 2, 3, 4, 5, 6, 7, 8, 9])('are all predicted for gzip -%i', (level) => {
    const file = execFileSync('gzip', ['-n', `-${level}`], { input: content, maxBuffer: 1 << 26 });
    // Stored blocks and the last block are said in a few bytes each.
    expect(checkRoundTrip(bodyOf(file), content)).toBeLessThan(40);
  });

  it.each([1, 2, 3, 4, 5, 6, 7, 8, 9])('are all predicted for level %i of zlib', (level) => {
    const program = `import sys, zlib
c = zlib.compressobj(${level}, zlib.DEFLATED, -15)
sys.stdout.buffer.write(c.compress(sys.stdin.buffer.read()) + c.flush())`;
    const stream = execFileSync('python3', ['-c', program], { input: content, maxBuffer: 1 << 26 });
    expect(checkRoundTrip(stream, content)).toBeLessThan(100);
  });

  it.each([65_270, 65_274, 65_275, 65_400, 65_536, 65_537, 98_000, 98_050, 98_304, 163_602])(
    'are all predicted where a file of %i bytes ends in the last look ahead of gzip',
    (length) => {
      const part = content.subarray(0, length);
      const file = execFileSync('gzip', ['-n', '-9'], { input: part, maxBuffer: 1 << 26 });
      expect(checkRoundTrip(bodyOf(file), part)).toBeLessThan(12);
    },
  );
});

describe('A deflate stream', () => {
  it('comes back whatever compressor made it, if that is near enough to the family', () => {
    const content = mixedContent().subarray(0, 20_000);
    let worth = 0;
    for (const strategy of [
      constants.Z_DEFAULT_STRATEGY,
      constants.Z_FILTERED,
      constants.Z_HUFFMAN_ONLY,
      constants.Z_RLE,
      constants.Z_FIXED,
    ]) {
      for (const level of [0, 1, 6, 9]) {
        for (const memLevel of [1, 8, 9]) {
          if (checkRoundTrip(deflateRawSync(content, { level, strategy, memLevel }), content) !== undefined) worth++;
        }
      }
    }
    expect(worth).toBeGreaterThan(20);
  });

  it('comes back for any small content', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 2000 }),
        fc.integer({ min: 0, max: 40 }),
        fc.integer({ min: 0, max: 9 }),
        (seed, repeats, level) => {
          const content = Buffer.concat(Array.from({ length: repeats }, (_, at) => seed.subarray(at)));
          checkRoundTrip(deflateRawSync(content, { level }), content);
        },
      ),
      { numRuns: 100 * SCALE },
    );
  });

  it('may have blocks without content, in the middle and at the end', () => {
    const empty = Buffer.from([0, 0, 0, 0xff, 0xff]);
    const body = deflateRawSync(Buffer.from('abcabcabc'), { finishFlush: constants.Z_SYNC_FLUSH });
    const last = Buffer.from([3, 0]);
    checkRoundTrip(Buffer.concat([empty, body, empty, empty, last]), Buffer.from('abcabcabc'));
    checkRoundTrip(last, Buffer.alloc(0));
  });

  it('is not read beyond the content that is allowed', () => {
    const bomb = deflateRawSync(Buffer.alloc(1 << 20));
    expect(readStream(bomb, 0, (1 << 20) - 1)).toBeUndefined();
    expect(readStream(bomb, 0, 1 << 20)?.content.length).toBe(1 << 20);
  });

  it('that is damaged is not read, or comes back as it is', () => {
    const content = mixedContent().subarray(100_000, 106_000);
    const stream = deflateRawSync(content);
    let state = 7;
    const random = (below: number): number => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return state % below;
    };
    let readable = 0;
    for (let round = 0; round < 400 * SCALE; round++) {
      const changed = Buffer.from(stream.subarray(0, random(4) === 0 ? random(stream.length) : stream.length));
      for (let count = 1 + random(3); count > 0 && changed.length > 0; count--)
        changed[random(changed.length)] = random(256);
      const found = readStream(changed, 0, 1 << 20);
      if (found === undefined) continue;
      readable++;
      if (readable % 10 !== 0) continue;
      const decisions = encodeDecisions(found);
      if (decisions === undefined) continue;
      const restored = Buffer.concat([...restoreStream(found.content, decisions)]);
      expect(restored.equals(changed.subarray(0, found.end))).toBe(true);
    }
    expect(readable).toBeGreaterThan(0);
  });
});

describe('Decisions that are damaged', () => {
  it('end as an error or as other bytes, never otherwise', () => {
    const content = mixedContent().subarray(0, 40_000);
    const found = read(deflateRawSync(content, { level: 6, memLevel: 4 }));
    const decisions = encodeDecisions(found) ?? Buffer.alloc(0);
    expect(decisions.length).toBeGreaterThan(50);
    let refused = 0;
    for (let round = 0; round < 300 * SCALE; round++) {
      const changed = Buffer.from(decisions);
      const at = (round * 7919) % changed.length;
      changed[at] = (changed[at] as number) ^ (1 << (round % 8));
      const cut = round % 5 === 0 ? changed.subarray(0, at) : changed;
      try {
        for (const chunk of restoreStream(found.content, cut)) expect(chunk.length).toBeLessThan(1 << 20);
      } catch (error) {
        expect(error).toMatchObject({ code: 'damaged-delta' });
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(0);
  });
});
