import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ByteReader, ByteWriter } from '../../../src/core/bytes.ts';
import { damagedPart } from '../../../src/delta/damage.ts';
import {
  type EditScript,
  isIdentity,
  newSize,
  PlaceMap,
  readScript,
  ScriptBuilder,
  scaled,
  writeScript,
} from '../../../src/delta/projection/edit-script.ts';
import { alignSequences, BYTE_WINDOWS, ROW_WINDOWS } from '../../../src/delta/projection/sequence-alignment.ts';

function written(script: EditScript): Uint8Array {
  const writer = new ByteWriter();
  writeScript(writer, script);
  return writer.finish();
}

function read(bytes: Uint8Array, oldRows: number, limit = 1000): EditScript {
  return readScript(new ByteReader(bytes, damagedPart('script')), oldRows, limit);
}

/** Rows 0-4 stay; 5-7 go and 8 come in their stead; 8-9 stay; 4 come behind. */
function example(): EditScript {
  const builder = new ScriptBuilder();
  builder.add(0, 0, 5);
  builder.add(8, 13, 2);
  return builder.finish(10, 19);
}

describe('an edit script', () => {
  it('is stored as its gaps', () => {
    const bytes = written(example());
    expect([...bytes]).toEqual([2, 5, 3, 8, 2, 0, 4]);
    expect(read(bytes, 10)).toEqual(example());
  });

  it('of something that stays as it is holds nothing', () => {
    const script = new ScriptBuilder().finish(7, 7);
    expect(isIdentity(script)).toBe(true);
    expect([...written(script)]).toEqual([0]);
    expect(isIdentity(read(Uint8Array.of(0), 7))).toBe(true);
    expect(isIdentity(new ScriptBuilder().finish(0, 0))).toBe(true);
    expect(isIdentity(example())).toBe(false);
  });

  it('joins runs that move alike, whatever stands between them', () => {
    const builder = new ScriptBuilder();
    builder.add(0, 0, 2);
    builder.add(4, 4, 2);
    builder.add(6, 9, 1);
    const script = builder.finish(7, 10);
    expect([...script.lengths]).toEqual([6, 1, 0]);
  });

  it('maps places: what stays, what went, ends', () => {
    const map = new PlaceMap(scaled(example(), 4));
    expect(map.at(0)).toBe(0);
    expect(map.at(19)).toBe(19);
    expect(map.at(20)).toBe(20);
    expect(map.at(31)).toBe(31);
    expect(map.at(32)).toBe(52);
    expect(map.at(39)).toBe(59);
    expect(map.at(40)).toBe(76);
    expect(map.at(44)).toBe(80);
    expect(map.at(-4)).toBe(-4);
    expect(map.endAt(20)).toBe(20);
    expect(map.endAt(32)).toBe(52);
    expect(map.endAt(40)).toBe(60);
    expect(map.stays(19)).toBe(true);
    expect(map.stays(20)).toBe(false);
    expect(map.stays(32)).toBe(true);
  });

  it.each([
    ['more changes than bytes', [9, 1, 1, 1]],
    ['more rows than there are', [1, 8, 3, 0]],
    ['more rows that stay than there are', [1, 11, 0, 0]],
    ['more rows that come than may be', [1, 0, 0, 0xff, 0x7f]],
    ['an end in the middle', [1, 5]],
  ])('is refused with %s', (_, bytes) => {
    expect(() => read(Uint8Array.from(bytes), 10, 100)).toThrow(expect.objectContaining({ code: 'damaged-delta' }));
  });

  it('survives being stored, for any two sequences', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(4), { maxLength: 60 }), fc.array(fc.nat(4), { maxLength: 60 }), (a, b) => {
        const script = alignSequences(Uint32Array.from(a), Uint32Array.from(b), ROW_WINDOWS);
        expect(newSize(script)).toBe(b.length);
        expect(read(written(script), a.length)).toEqual(script);
      }),
    );
  });
});

describe('the alignment of sequences', () => {
  it('finds runs that are the same in both, in the order of both', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 40, maxLength: 200 }),
        fc.array(fc.tuple(fc.nat(200), fc.nat(20), fc.uint8Array({ maxLength: 20 })), { maxLength: 4 }),
        (old, edits) => {
          let next = [...old];
          for (const [at, goes, comes] of edits) next = [...next.slice(0, at), ...comes, ...next.slice(at + goes)];
          const { oldAt, newAt, lengths } = alignSequences(old, Uint8Array.from(next), BYTE_WINDOWS);
          let oldEnd = 0;
          let newEnd = 0;
          for (let run = 0; run < oldAt.length; run++) {
            expect(oldAt[run]).toBeGreaterThanOrEqual(oldEnd);
            expect(newAt[run]).toBeGreaterThanOrEqual(newEnd);
            oldEnd = oldAt[run]! + lengths[run]!;
            newEnd = newAt[run]! + lengths[run]!;
          }
          expect([oldEnd, newEnd]).toEqual([old.length, next.length]);
        },
      ),
    );
  });

  it('finds an insertion and a deletion exactly', () => {
    const old = Uint8Array.from({ length: 200 }, (_, index) => (index * 73) ^ (index >>> 3));
    const next = Uint8Array.from([...old.subarray(0, 50), 1, 2, 3, ...old.subarray(50, 120), ...old.subarray(130)]);
    const script = alignSequences(old, next, BYTE_WINDOWS, 8);
    expect([...script.oldAt]).toEqual([0, 50, 130, 200]);
    expect([...script.newAt]).toEqual([0, 53, 123, 193]);
    expect([...script.lengths]).toEqual([50, 70, 70, 0]);
  });
});
