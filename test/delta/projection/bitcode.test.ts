import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { collect } from '../../../src/core/bytes.ts';
import { MAX_BITCODE_BYTES } from '../../../src/core/limits.ts';
import { oneMember } from '../../../src/delta/codec.ts';
import { difference } from '../../../src/delta/codecs/difference.ts';
import { bitcode } from '../../../src/delta/projection/bitcode.ts';
import { RecordMemory } from '../../../src/delta/projection/projection.ts';
import { memoryBase } from '../../../src/delta/read-base.ts';
import { chunksOf, noise } from '../../helpers/pools.ts';
import { NO_MAP } from './foretell.ts';

const MAGIC = Buffer.from('4243c0de', 'hex');

function project(old: Uint8Array): Uint8Array {
  return bitcode.project(old, 0, new Uint8Array(0), new RecordMemory()).bytes;
}

/** Bytes as bits, the lowest of each first. */
function bitsOf(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(2).padStart(8, '0').split('').reverse().join('')).join('');
}

function bytesOf(bits: string): Buffer {
  const bytes = (bits.match(/.{1,8}/g) ?? []).map((byte) =>
    Number.parseInt(byte.padEnd(8, '0').split('').reverse().join(''), 2),
  );
  return Buffer.from(bytes);
}

describe('the projection of bitcode', () => {
  it('is the old file and its seven shifts by bits', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (old) => {
        const bytes = project(old);
        expect(bytes).toHaveLength(8 * old.length);
        for (let shift = 0; shift < 8; shift++) {
          const copy = bytes.subarray(shift * old.length, (shift + 1) * old.length);
          expect(bitsOf(copy)).toBe(('0'.repeat(shift) + bitsOf(old)).slice(0, 8 * old.length));
        }
      }),
    );
  });

  it('finds what some bits have moved', async () => {
    const old = Buffer.concat([MAGIC, noise(20_000, 1)]);
    const bits = bitsOf(old);
    const next = bytesOf(`${bits.slice(0, 4000)}101${bits.slice(4000, 90_000)}0010010${bits.slice(90_000)}`);
    const bases = [memoryBase(old)];
    const stored = await difference.encode(next, bases, oneMember(next.length, 1, 7));
    expect(stored!.length).toBeLessThan(300);
    expect((await collect(difference.decode(chunksOf(stored!, 100), bases, [next.length]))).equals(next)).toBe(true);
  });

  it('is for bitcode alone, of bounded size', () => {
    const file = Buffer.concat([MAGIC, noise(100, 2)]);
    const wrapped = Buffer.concat([Buffer.from('dec0170b', 'hex'), file]);
    expect(bitcode.describe(file, wrapped, NO_MAP)).toHaveLength(0);
    for (const [old, next] of [
      [file, noise(100, 3)],
      [noise(100, 3), file],
      [new Uint8Array(0), file],
      [Buffer.concat([file, Buffer.alloc(MAX_BITCODE_BYTES)]), file],
    ] as const)
      expect(bitcode.describe(old, next, NO_MAP)).toBeUndefined();
    expect(project(Buffer.alloc(MAX_BITCODE_BYTES + 1))).toHaveLength(MAX_BITCODE_BYTES + 1);
    expect(() => bitcode.project(file, 0, Buffer.of(0), new RecordMemory())).toThrow(
      expect.objectContaining({ code: 'damaged-delta' }),
    );
  });
});
