import { execFileSync } from 'node:child_process';
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { collect } from '../../src/core/bytes.ts';
import { OsupdError } from '../../src/core/errors.ts';
import { compressBytes, compressStream, MAX_EFFORT } from '../../src/repository/zstd.ts';
import { decompress } from '../../src/tree/decompress.ts';
import { readTar } from '../../src/tree/read-tar.ts';
import { mutate, randomNumbers } from '../helpers/mutate.ts';
import { itWith } from '../helpers/requirements.ts';
import { archive, directoryEntry, fileEntry, stream } from '../helpers/tar-writer.ts';
import { HashStore, treeLines } from '../helpers/trees.ts';

const SCALE = Number(process.env.OSUPD_TEST_SCALE ?? 1);

const WITHOUT_ZSTD = {};

const refuse = (what: string) => new OsupdError('invalid-tar', what, { where: 'archive' });

function portable(bytes: Uint8Array, sizes: readonly number[] = []): AsyncIterable<Uint8Array> {
  return decompress(stream(bytes, sizes), refuse, WITHOUT_ZSTD);
}

const read = async (bytes: Uint8Array, sizes?: readonly number[]) => Buffer.from(await collect(portable(bytes, sizes)));

async function failure(bytes: Uint8Array): Promise<string> {
  const error = await read(bytes).then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(error).toBeInstanceOf(OsupdError);
  const { code, where, message } = error as OsupdError;
  expect({ code, where }).toEqual({ code: 'invalid-tar', where: 'archive' });
  return message;
}

interface FrameOptions {
  level?: number;
  windowLog?: number;
  checksum?: boolean;
}

function frame(content: Uint8Array, { level = 3, windowLog, checksum = true }: FrameOptions = {}): Buffer {
  const window = windowLog === undefined ? {} : { [constants.ZSTD_c_windowLog]: windowLog };
  const params = { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_checksumFlag]: Number(checksum) };
  return zstdCompressSync(content, { params: { ...params, ...window } });
}

function skippable(bytes: number, kind = 0): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32LE(0x184d2a50 + kind, 0);
  head.writeUInt32LE(bytes, 4);
  return Buffer.concat([head, Buffer.alloc(bytes, 0x28)]);
}

/** Bytes that compress to about half, with repeats near and far. */
function mixed(size: number, seed = 1): Buffer {
  const random = randomNumbers(seed);
  const bytes = Buffer.alloc(size);
  for (let at = 0; at < size; ) {
    const length = Math.min(size - at, 1 + Math.floor(random() * 2000));
    if (at > 0 && random() < 0.6) {
      const from = Math.floor(random() * at);
      at += bytes.copy(bytes, at, from, Math.min(from + length, at));
    } else for (const end = at + length; at < end; at++) bytes[at] = Math.floor(random() * 256);
  }
  return bytes;
}

const GOOD = mixed(300_000);

describe('zstd without the zstd of the runtime', () => {
  it.each([0, 1, 255, 256, 65_791, 131_071, 131_072, 131_073, 1_000_000, 5_000_000])(
    'reads %i bytes at every kind of level',
    async (size) => {
      const content = mixed(size);
      for (const level of [-5, 1, 3, 9, 19]) {
        const frames = frame(content, { level, checksum: level > 3 });
        expect(content.equals(await read(frames, [65_536])), `level ${level}`).toBe(true);
      }
    },
  );

  it('reads frames of all kinds after each other, cut into any chunks', async () => {
    const content = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.tuple(fc.nat(255), fc.nat(400_000)).map(([byte, size]) => Buffer.alloc(size, byte)),
      fc.tuple(fc.nat(), fc.nat(400_000)).map(([seed, size]) => mixed(size, seed)),
    );
    const options = fc.record({
      level: fc.integer({ min: -5, max: 12 }),
      checksum: fc.boolean(),
      windowLog: fc.constantFrom(undefined, 10, 17, 23),
    }) as fc.Arbitrary<FrameOptions>;
    const parts = fc.array(
      fc.oneof(
        {
          weight: 4,
          arbitrary: fc.tuple(content, options).map(([bytes, how]) => ({ bytes, data: frame(bytes, how) })),
        },
        fc
          .tuple(fc.nat(70_000), fc.nat(15))
          .map(([size, kind]) => ({ bytes: Buffer.alloc(0), data: skippable(size, kind) })),
      ),
      { minLength: 1, maxLength: 6 },
    );
    const chunks = fc.array(fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1000, max: 200_000 })), {
      minLength: 1,
    });
    await fc.assert(
      fc.asyncProperty(parts, chunks, async (parts, chunks) => {
        const data = Buffer.concat(parts.map((part) => part.data));
        const expected = Buffer.concat(parts.map((part) => part.bytes));
        const sizes = data.length > 50_000 ? [...chunks, 50_000] : chunks;
        expect(expected.equals(await read(data, sizes))).toBe(true);
        expect(expected.equals(zstdDecompressSync(data))).toBe(true);
      }),
      { numRuns: 40 * SCALE },
    );
  });

  it('reads windows up to 8 MiB, also where small ones come before', async () => {
    const far = mixed(9 << 20, 7);
    const content = Buffer.concat([far, far.subarray(0, 1 << 20)]);
    const data = [18, 20, 23, 22, 23, 10, 23].map((windowLog) => frame(content, { level: 1, windowLog }));
    let at = 0;
    for await (const part of portable(Buffer.concat(data), [100_000])) {
      const start = at % content.length;
      const expected = content.subarray(start, start + part.length);
      if (!expected.equals(part)) throw new Error(`other content at ${at}`);
      at += part.length;
    }
    expect(at).toBe(content.length * data.length);
  });

  it('gives content in small parts, however much a few bytes stand for', async () => {
    const bomb = frame(Buffer.alloc(1 << 26), { checksum: false });
    expect(bomb.length).toBeLessThan(5000);
    let total = 0;
    for await (const part of portable(bomb)) {
      expect(part.length).toBeLessThanOrEqual(1 << 17);
      total += part.length;
      if (total > 1 << 25) break;
    }
    expect(total).toBeGreaterThan(1 << 25);
  });

  it.each(Array.from({ length: MAX_EFFORT }, (_, index) => index + 1))(
    'reads what a repository publishes with effort %i',
    async (effort) => {
      const content = mixed(500_000, effort);
      expect(content.equals(await read(await compressBytes(content, effort)))).toBe(true);
      const streamed = await collect(compressStream(stream(content, [70_000]), content.length, effort));
      expect(content.equals(await read(streamed))).toBe(true);
    },
  );

  itWith(['zstd'], 'reads what the zstd program writes', async () => {
    const content = mixed(3_000_000);
    for (const options of [['-1'], ['-19'], ['-T2', '-B1MiB'], ['--no-check', '-9'], ['--rsyncable']]) {
      const data = execFileSync('zstd', ['-q', '-c', ...options], { input: content, maxBuffer: 1 << 24 });
      expect(content.equals(await read(data)), options.join(' ')).toBe(true);
    }
  });

  it('an archive gives the tree that the runtime gives', async () => {
    const tar = archive(
      directoryEntry('usr'),
      ...Array.from({ length: 40 }, (_, n) => fileEntry(`usr/file-${n}`, mixed(n * n * 100, n))),
    );
    const options = { inlineLimit: 64, where: 'archive' };
    const own = await readTar(stream(frame(tar)), { ...options, store: new HashStore() });
    const other = await readTar(portable(frame(tar), [10_000]), { ...options, store: new HashStore() });
    expect(treeLines(other)).toEqual(treeLines(own));
  });
});

describe('zstd that cannot be read without the zstd of the runtime', () => {
  it('a window above 8 MiB is refused with the limit and the way out', async () => {
    const content = mixed(9 << 20);
    const message =
      'its zstd data cannot be read: it needs a window of 16 MiB, and without zstd in Node.js at most 8 MiB are read; ' +
      'a Node.js with zstd reads it';
    expect(await failure(frame(Buffer.alloc(17 << 20), { windowLog: 24 }))).toBe(message);
    // The content's size is the window of a frame that is one segment.
    expect(await failure(frame(content, { windowLog: 24, level: 1 }))).toBe(message.replace('16 MiB', '9 MiB'));
    expect(await failure(Buffer.concat([frame(GOOD), frame(content, { windowLog: 24, level: 1 })]))).toContain('9 MiB');
    expect(GOOD.equals(await read(frame(GOOD)))).toBe(true);
  });

  it('a frame that needs a dictionary', async () => {
    const data = Buffer.from('28b52ffd2101010000', 'hex');
    expect(await failure(Buffer.concat([data, Buffer.from('61', 'hex')]))).toContain('it needs a dictionary');
  });

  it('data that ends anywhere within a frame', async () => {
    const data = Buffer.concat([frame(mixed(200_000)), skippable(10), frame(GOOD.subarray(0, 50))]);
    const [first, second] = [frame(mixed(200_000)).length, frame(mixed(200_000)).length + 18];
    const ends = [4, 5, 6, 8, 9, 12, 1000, first - 4, first - 1, first + 1, first + 4, second - 1, second + 2];
    for (const end of [...ends, data.length - 1])
      expect(await failure(data.subarray(0, end)), `${end} bytes`).toBe('its zstd data cannot be read: it is cut off');
  });

  it('frames that go on with something else', async () => {
    const data = Buffer.concat([frame(GOOD), Buffer.alloc(512)]);
    expect(await failure(data)).toBe('its zstd data cannot be read: it goes on with what is no zstd frame');
  });

  it('a flipped bit anywhere', async () => {
    const content = mixed(20_000);
    const data = frame(content);
    const random = randomNumbers(3);
    for (let run = 0; run < 60 * SCALE; run++) {
      // The first bytes say what the data is; headers come first, then any place.
      const bit = run < 40 ? 32 + run : 32 + Math.floor(random() * (data.length - 4) * 8);
      const damaged = Buffer.from(data);
      damaged[bit >>> 3] = (damaged[bit >>> 3] as number) ^ (1 << (bit & 7));
      const found = await read(damaged).catch((error: unknown) => error);
      // One bit of the header is not used (RFC 8878, section 3.1.1.1.1.3).
      if (Buffer.isBuffer(found)) expect(content.equals(found), `bit ${bit}`).toBe(true);
      else expect((found as OsupdError).code, `bit ${bit}: ${found}`).toBe('invalid-tar');
    }
  });

  it('any damage gives an error or the content that the runtime gives', async () => {
    const random = randomNumbers(5);
    for (let run = 0; run < 60 * SCALE; run++) {
      const data = frame(mixed(5000, run), { level: 1 + (run % 19), checksum: false });
      const damaged = Buffer.concat([data.subarray(0, 4), mutate(data.subarray(4), random)]);
      const found = await read(damaged).catch((error: unknown) => error);
      if (Buffer.isBuffer(found)) expect(found.equals(zstdDecompressSync(damaged)), `run ${run}`).toBe(true);
      else expect((found as OsupdError).code, `run ${run}: ${found}`).toBe('invalid-tar');
    }
    expect(GOOD.equals(await read(frame(GOOD)))).toBe(true);
  });

  it('an error of the source stays what it is', async () => {
    const gone = new OsupdError('network', 'the connection was cut');
    const source = (async function* () {
      yield frame(GOOD).subarray(0, 1000);
      throw gone;
    })();
    await expect(collect(decompress(source, refuse, WITHOUT_ZSTD))).rejects.toBe(gone);
  });
});
