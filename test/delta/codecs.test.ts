/** What every codec must do, whatever it is: a new one in the list is tested without a change here. */
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { collect } from '../../src/core/bytes.ts';
import { MAX_DICTIONARY_CODEC_BYTES } from '../../src/core/limits.ts';
import { type Base, type Codec, oneMember } from '../../src/delta/codec.ts';
import { compressFrame } from '../../src/delta/codecs/zstd-frame.ts';
import { CODECS, codecNamed } from '../../src/delta/codecs.ts';
import { memoryBase } from '../../src/delta/read-base.ts';
import { mutate, randomNumbers } from '../helpers/mutate.ts';
import { chunksOf, noise } from '../helpers/pools.ts';

const SCALE = Number(process.env.OSUPD_TEST_SCALE ?? 1);

const text = Buffer.from('a line of text that comes again and again, with a number\n'.repeat(2000));
const contents: Record<string, Uint8Array> = {
  'one byte': Buffer.from('x'),
  text,
  noise: noise(70_000, 1),
  zeros: Buffer.alloc(300_000),
};
const OLD = [text.subarray(0, 50_000), noise(70_000, 1).subarray(3000), Buffer.from('y')];

function basesFor(codec: Codec): Base[] {
  return codec.usesBases ? OLD.map((bytes) => memoryBase(fileFor(codec, bytes))) : [];
}

/** Content in a form that the codec takes: one of them takes compressed files alone. */
function fileFor({ name }: Codec, content: Uint8Array): Uint8Array {
  return name === 'unpacked' ? gzipSync(content) : content;
}

async function encode(codec: Codec, target: Uint8Array, effort = 5): Promise<Uint8Array> {
  const stored = await codec.encode(target, basesFor(codec), oneMember(target.length, basesFor(codec).length, effort));
  if (stored === undefined) throw new Error(`${codec.name} does not take the content`);
  return Uint8Array.from(stored);
}

function decode(codec: Codec, stored: Uint8Array, rawLength: number, chunk = 4096, bases = basesFor(codec)) {
  return collect(codec.decode(chunksOf(stored, chunk), bases, [rawLength]));
}

/** Decodes what may be damaged: the content, or undefined where that is refused. Other errors, and more than was declared, fail. */
async function tryDecode(codec: Codec, stored: Uint8Array, rawLength: number): Promise<Buffer | undefined> {
  const parts: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const part of codec.decode(chunksOf(stored, 4096), basesFor(codec), [rawLength])) {
      length += part.length;
      parts.push(part);
      expect(length).toBeLessThanOrEqual(rawLength);
    }
  } catch (error) {
    expect(error).toMatchObject({ name: 'OsupdError', code: 'damaged-delta' });
    return undefined;
  }
  expect(length).toBe(rawLength);
  return Buffer.concat(parts);
}

for (const codec of CODECS) {
  describe(`the codec ${codec.name}`, () => {
    const targets = Object.fromEntries(
      Object.entries(contents).map(([name, content]) => [name, fileFor(codec, content)]),
    );
    const text = targets.text as Uint8Array;

    it('is found by its name, which fits in a header', () => {
      expect(codecNamed(codec.name)).toBe(codec);
      expect(codec.name).toMatch(/^[a-z0-9-]{1,32}$/);
    });

    for (const [name, target] of Object.entries(targets)) {
      it(`gives ${name} back at every effort, whatever the chunks`, async () => {
        for (const effort of [1, 5, 9]) {
          const stored = await encode(codec, target, effort);
          for (const chunk of [7, stored.length])
            expect((await decode(codec, stored, target.length, chunk)).equals(target)).toBe(true);
        }
      });
    }

    it('gives no chunk without bytes', async () => {
      for (const target of Object.values(targets)) {
        const stored = await encode(codec, target);
        for await (const part of codec.decode(chunksOf(stored, 4096), basesFor(codec), [target.length]))
          expect(part.length).toBeGreaterThan(0);
      }
    });

    it('gives the same bytes each time', async () => {
      for (const target of Object.values(targets))
        expect(Buffer.compare(await encode(codec, target), await encode(codec, Uint8Array.from(target)))).toBe(0);
    });

    it('uses its bases', async () => {
      const [target, stored] = [targets.noise!, await encode(codec, targets.noise!)];
      if (codec.usesBases) {
        expect(stored.length).toBeLessThan(target.length / 10);
        // Bases in other places are other bases.
        const wrong = await decode(codec, stored, target.length, 4096, [
          ...basesFor(codec).slice(1),
          ...basesFor(codec).slice(0, 1),
        ]).catch(() => undefined);
        expect(wrong?.equals(target)).not.toBe(true);
      } else {
        expect(await codec.encode(target, OLD.map(memoryBase), oneMember(target.length, OLD.length, 3))).toHaveLength(
          stored.length,
        );
      }
    });

    it('refuses stored bytes that are cut anywhere', async () => {
      const stored = await encode(codec, text);
      const step = Math.max(1, Math.floor(stored.length / 40));
      for (let length = 0; length < stored.length; length += step)
        expect(await tryDecode(codec, stored.subarray(0, length), text.length), `cut at ${length}`).toBeUndefined();
      expect(await tryDecode(codec, stored.subarray(0, -1), text.length)).toBeUndefined();
    });

    it('refuses bytes behind its own, be it one or all again', async () => {
      for (const target of Object.values(targets)) {
        const stored = await encode(codec, target);
        for (const more of [Buffer.alloc(1), Buffer.from('x'), stored])
          expect(await tryDecode(codec, Buffer.concat([stored, more]), target.length)).toBeUndefined();
      }
    });

    it('refuses every length but the right one', async () => {
      for (const target of Object.values(targets)) {
        const stored = await encode(codec, target);
        for (const wrong of [0, 1, target.length - 1, target.length + 1, 2 * target.length, 2 ** 40]) {
          if (wrong !== target.length) expect(await tryDecode(codec, stored, wrong), `${wrong} bytes`).toBeUndefined();
        }
      }
    });

    it('ends for all damage with content of the declared length, or as damaged', async () => {
      const random = randomNumbers(7);
      const stored = await encode(codec, text);
      for (let run = 0; run < 300 * SCALE; run++) await tryDecode(codec, mutate(stored, random), text.length);
    });

    it('passes an error of the stored bytes on', async () => {
      const stored = await encode(codec, text);
      const failing = async function* () {
        yield stored.subarray(0, 10);
        throw new RangeError('the line is cut');
      };
      // As damage with that cause, or as it is: never as content.
      const error = await collect(codec.decode(failing(), basesFor(codec), [text.length])).catch((thrown) => thrown);
      expect(String(error.message)).toContain('the line is cut');
    });

    it('can be left before its end', async () => {
      const target = fileFor(codec, noise(1 << 20, 5));
      const stored = await encode(codec, target);
      let ended = false;
      const source = async function* () {
        try {
          yield* chunksOf(stored, 1 << 16);
        } finally {
          ended = true;
        }
      };
      for await (const _ of codec.decode(source(), basesFor(codec), [target.length])) break;
      await expect.poll(() => ended).toBe(true);
    });
  });
}

describe('zstd', () => {
  it('stops a frame that swells at the declared length', async () => {
    const bomb = compressFrame(Buffer.alloc(256 << 20), { level: 1, windowLog: 20 });
    expect(bomb.length).toBeLessThan(1 << 16);
    for (const codec of CODECS) {
      let given = 0;
      const swelling = async () => {
        for await (const chunk of codec.decode(chunksOf(bomb, 4096), basesFor(codec), [100_000])) given += chunk.length;
      };
      await expect(swelling()).rejects.toMatchObject({ code: 'damaged-delta' });
      expect(given).toBeLessThanOrEqual(100_000);
    }
  });

  it('refuses a window larger than content and bases need', async () => {
    const target = Buffer.concat([noise(20 << 20, 3), Buffer.alloc(8)]);
    const wide = compressFrame(target, { level: 1, windowLog: 25 });
    expect(await tryDecode(codecNamed('zstd'), wide, target.length)).toBeUndefined();
  });

  it('takes no bases that would not fit in memory', async () => {
    const codec = codecNamed('zstd-base');
    const huge: Base = {
      size: MAX_DICTIONARY_CODEC_BYTES / 2,
      read: () => Promise.reject(new Error('it must not be read')),
    };
    expect(await codec.encode(text, [huge], oneMember(text.length, 1, 1))).toBeUndefined();
    await expect(decode(codec, new Uint8Array(9), text.length, 9, [huge])).rejects.toMatchObject({
      code: 'damaged-delta',
    });
    expect(await codec.encode(text, [], oneMember(text.length, 0, 1))).toBeUndefined();
  });
});

it('a codec that is not known asks for an update of osupd', () => {
  expect(() => codecNamed('zstd-2')).toThrow(expect.objectContaining({ code: 'unsupported' }));
});
