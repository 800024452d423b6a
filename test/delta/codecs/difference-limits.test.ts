/** What the members of a record may ask of a reader, and that no encoder asks for more. */
import { describe, expect, it } from 'vitest';
import { ByteReader, ByteWriter, collect } from '../../../src/core/bytes.ts';
import { MAX_MEMBER_BASES, MAX_PROJECTED_BYTES, MAX_PROJECTED_PASSES } from '../../../src/core/limits.ts';
import { decodeDifference } from '../../../src/delta/codecs/difference-decode.ts';
import { encodeDifference } from '../../../src/delta/codecs/difference-encode.ts';
import { ProjectionRoom } from '../../../src/delta/codecs/difference-old.ts';
import { PlanReader, PlanWriter } from '../../../src/delta/codecs/difference-plan.ts';
import { damagedPart } from '../../../src/delta/damage.ts';
import { EM_X86_64, ET_DYN } from '../../../src/delta/projection/elf.ts';
import { linked } from '../../../src/delta/projection/linked.ts';
import { memoryBase } from '../../../src/delta/read-base.ts';
import { chunksOf, noise } from '../../helpers/pools.ts';
import { buildElf } from '../projection/elf-builder.ts';

async function expectRoundTrip(bases: readonly Uint8Array[], members: readonly Uint8Array[], effort: number) {
  const target = Buffer.concat(members);
  const sizes = members.map(({ length }) => length);
  const basesOf = members.map(() => [...bases.keys()]);
  const stored = encodeDifference({ target, bases, members: sizes, basesOf }, effort)!;
  const content = await collect(decodeDifference(chunksOf(stored, 1000), bases.map(memoryBase), sizes));
  expect(content.equals(target)).toBe(true);
}

/** A library with this code and this data. */
function library(code: Uint8Array, data: Uint8Array): Uint8Array {
  return buildElf({
    type: ET_DYN,
    machine: EM_X86_64,
    sections: [
      { name: '.text', bytes: code, address: 0x1000, flags: 6 },
      { name: '.data', bytes: data, address: 0x100000, flags: 3 },
    ],
  });
}

describe('an encoder', () => {
  it('projects no more bases for one member than a reader does', async () => {
    const parts = [1, 2, 3, 4].map((seed) => noise(20_000, seed));
    const bases = [library(parts[0]!, parts[1]!), library(parts[2]!, parts[3]!)];
    const next = Buffer.concat([library(parts[0]!, parts[3]!), Buffer.alloc(MAX_PROJECTED_BYTES / 2)]);
    await expectRoundTrip(bases, [next], 1);
  }, 60_000);

  it('projects no base again and again for ever', async () => {
    const base = library(noise(50_000, 5), noise(1000, 6));
    const members = Array.from({ length: 60 }, (_, seed) => library(noise(300, 5), noise(10, seed)));
    await expectRoundTrip([base], members, 4);
  });

  it('takes no more bases for one member than a reader does', async () => {
    const bases = Array.from({ length: MAX_MEMBER_BASES + 4 }, (_, seed) => noise(500, seed));
    await expectRoundTrip(bases, [Buffer.concat(bases)], 7);
  });
});

describe('a reader', () => {
  it('refuses a member with more bases', () => {
    const plan = Array.from({ length: MAX_MEMBER_BASES + 1 }, (_, index) => ({ index, projected: undefined }));
    const read = (count: number) => {
      const writer = new ByteWriter();
      new PlanWriter().write(plan.slice(0, count), writer);
      return new PlanReader(100).read(new ByteReader(writer.finish(), damagedPart('plan')));
    };
    expect(read(MAX_MEMBER_BASES).length).toBe(MAX_MEMBER_BASES);
    expect(() => read(MAX_MEMBER_BASES + 1)).toThrow(expect.objectContaining({ code: 'damaged-delta' }));
  });

  it('projects so much for all members of a record together', () => {
    const room = new ProjectionRoom([1000, 2000], [500]);
    const bases = [{ size: 2000, projection: linked }];
    let taken = 0;
    while (room.take(bases, 500)) taken++;
    expect(taken).toBe(Math.floor((MAX_PROJECTED_PASSES * 3500) / 2000));
    expect(room.take(bases, 500)).toBe(false);
    expect(room.take([], 500)).toBe(true);
  });
});
