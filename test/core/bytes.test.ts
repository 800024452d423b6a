import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  ByteReader,
  ByteWriter,
  collectAtMost,
  compareBytes,
  fromBytes,
  fromText,
  toBytes,
  toText,
} from '../../src/core/bytes.ts';
import { OsupdError } from '../../src/core/errors.ts';

const bad = (what: string, offset: number) => new OsupdError('damaged-delta', what, { facts: { offset } });

describe('byte strings', () => {
  it('hold any bytes and give them back', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        expect([...toBytes(fromBytes(bytes))]).toEqual([...bytes]);
      }),
    );
  });

  it('are ordered as unsigned bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.uint8Array(), (a, b) => {
        expect(Math.sign(compareBytes(fromBytes(a), fromBytes(b)))).toBe(Math.sign(Buffer.compare(a, b)));
      }),
    );
  });

  it('are shown as text where they are printable UTF-8, with escapes where not', () => {
    expect(toText(fromText('naïve/ファイル'))).toBe('naïve/ファイル');
    expect(toText('caf\xe9')).toBe('caf\\xe9');
    expect(toText('a\nb\\c')).toBe('a\\x0ab\\x5cc');
  });
});

describe('the byte writer and reader', () => {
  it('round-trip numbers of every width', () => {
    const safe = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
    fc.assert(
      fc.property(fc.array(safe), fc.uint8Array(), (numbers, tail) => {
        const writer = new ByteWriter(1);
        for (const number of numbers) {
          writer.varint(number);
          writer.u64(number);
          writer.u32(number % 2 ** 32);
          writer.u16(number % 2 ** 16);
          writer.u8(number % 2 ** 8);
        }
        writer.bytes(tail);
        const reader = new ByteReader(writer.finish(), bad);
        for (const number of numbers) {
          expect(reader.varint('varint')).toBe(number);
          expect(reader.u64('u64')).toBe(number);
          expect(reader.u32('u32')).toBe(number % 2 ** 32);
          expect(reader.u16('u16')).toBe(number % 2 ** 16);
          expect(reader.u8('u8')).toBe(number % 2 ** 8);
        }
        expect([...reader.take(tail.length, 'tail')]).toEqual([...tail]);
        expect(reader.remaining).toBe(0);
      }),
    );
  });

  it('refuse to read past the end, whatever the read', () => {
    const reader = new ByteReader(new Uint8Array(1), bad);
    expect(() => reader.u16('number')).toThrow('number is cut off');
    expect(() => reader.take(2, 'name')).toThrow('name is cut off');
    expect(reader.offset).toBe(0);
  });

  it('refuse varints that are too long, too large, or not in their shortest form', () => {
    const read = (...bytes: number[]) => new ByteReader(Uint8Array.from(bytes), bad).varint('count');
    expect(() => read(0x80, 0x00)).toThrow('not in its shortest form');
    expect(() => read(...Array(9).fill(0xff))).toThrow('too large');
    expect(() => read(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f)).toThrow('too large');
    expect(() => read(0xff)).toThrow('cut off');
  });

  it('refuse 64-bit numbers that do not fit in 53 bits', () => {
    expect(() => new ByteReader(new Uint8Array(8).fill(0xff), bad).u64('size')).toThrow('size is too large');
  });
});

it('collecting stops at the limit', async () => {
  let taken = 0;
  const endless = (function* () {
    for (;;) {
      taken++;
      yield new Uint8Array(10);
    }
  })();
  await expect(collectAtMost(endless, 25, () => new OsupdError('limit-exceeded', 'too long'))).rejects.toThrow(
    'too long',
  );
  expect(taken).toBe(3);
});
