import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { findCoarseMap } from '../../../src/delta/align/find-coarse-map.ts';
import { EM_AARCH64, EM_X86_64, ET_DYN, ET_EXEC, readElf } from '../../../src/delta/projection/elf.ts';
import { linked } from '../../../src/delta/projection/linked.ts';
import { newByteClasses, RecordMemory } from '../../../src/delta/projection/projection.ts';
import { projectionFor, projectionNamed } from '../../../src/delta/projection/projections.ts';
import { buildElf, type SectionPlan } from './elf-builder.ts';
import { NO_MAP } from './foretell.ts';
import { expectSameOutcomes, mutatedFiles, outcomeOf } from './hostile-files.ts';

const SCALE = Number(process.env.OSUPD_TEST_SCALE ?? 1);

/** Sections that have rules of their own, whatever their bytes are. */
const NAMES = [
  '.text',
  '.plt',
  '.rela.plt',
  '.rodata',
  '.data',
  '.eh_frame',
  '.eh_frame_hdr',
  '.dynsym',
  '.dynstr',
  '.dynamic',
  '.gnu.hash',
  '.gnu.version_r',
  '.relr.dyn',
  '.bss',
  '__ksymtab',
  '.orc_unwind_ip',
];
const TYPES = [1, 1, 1, 2, 3, 4, 5, 6, 8, 11, 14, 19, 0x6ffffff6, 0x6ffffffd, 0x6ffffffe];

const section: fc.Arbitrary<SectionPlan> = fc.record({
  name: fc.constantFrom(...NAMES),
  bytes: fc.uint8Array({ maxLength: 400 }),
  address: fc.oneof(fc.nat(0x10000), fc.integer({ min: -(2 ** 31), max: 2 ** 33 }), fc.maxSafeInteger()),
  type: fc.constantFrom(...TYPES),
  flags: fc.nat(0x407),
  link: fc.nat(12),
  size: fc.oneof(fc.nat(1000), fc.maxSafeNat()),
});

const file = fc
  .record({
    type: fc.constantFrom(ET_DYN, ET_EXEC),
    machine: fc.constantFrom(EM_X86_64, EM_AARCH64),
    sections: fc.array(section, { maxLength: 10 }),
  })
  .map(buildElf);

const mutated = mutatedFiles(file, 12);

/** Projects and settles it all; gives what came out, or the code of the error. */
function attempt(old: Uint8Array, nextSize: number, description: Uint8Array): string {
  return outcomeOf(() => {
    const projected = linked.project(old.slice(), nextSize, description, new RecordMemory());
    expect(projected.bytes.length).toBe(old.length);
    expect(projected.classes.length).toBe(newByteClasses(old.length).length);
    const whole = projected.bytes.slice();
    projected.settle?.(whole, 0, 40);
    const pieces = projected.bytes.slice();
    for (let at = 0; at < pieces.length; at += 7) projected.settle?.(pieces.subarray(at, at + 7), at, at + 40);
    expect(Buffer.compare(pieces, whole)).toBe(0);
    return Buffer.concat([projected.bytes, projected.classes, whole]);
  });
}

describe('hostile files and descriptions', () => {
  it('end in bytes or in "damaged-delta", always in the same ones', () => {
    expectSameOutcomes(mutated, attempt, 4000 * SCALE);
  }, 600_000);

  it('are described and projected from what the encoder says', () => {
    fc.assert(
      fc.property(mutated, mutated, (old, next) => {
        const description = linked.describe(old, next, NO_MAP);
        if (description === undefined) return;
        expect(attempt(old, next.length, description)).not.toBe('damaged-delta');
        expect(linked.comparable!(old, next).length).toBe(next.length);
      }),
      { numRuns: 1500 * SCALE },
    );
  }, 600_000);

  it('are read without harm', () => {
    fc.assert(
      fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 300 })), (bytes) => {
        const elf = readElf(bytes);
        let end = 0;
        for (const { type, offset, size } of (elf?.sections ?? []).toSorted((a, b) => a.offset - b.offset)) {
          if (type === 8 || size === 0) continue;
          expect(offset).toBeGreaterThanOrEqual(end);
          end = offset + size;
          expect(end).toBeLessThanOrEqual(bytes.length);
        }
      }),
      { numRuns: 4000 * SCALE },
    );
  }, 600_000);

  it('of a real program end in bytes or in "damaged-delta"', () => {
    const shell = new Uint8Array(readFileSync('/bin/sh'));
    const description = linked.describe(shell, shell, findCoarseMap(shell, shell))!;
    const headers = readElf(shell)!.sectionsAt;
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 20 }), (changes) => {
        const old = shell.slice();
        for (const [place, value] of changes) {
          old[place % 2 === 0 ? headers + ((place >>> 1) % (old.length - headers)) : (place >>> 1) % old.length] =
            value;
        }
        attempt(old, old.length, description);
      }),
      { numRuns: 60 * SCALE },
    );
  }, 600_000);
});

/** The file with the bytes of a section, by its number, at its very end. */
function withSectionAtEnd(file: Uint8Array, section: number, bytes: Uint8Array): Uint8Array {
  const moved = Buffer.concat([file, bytes]);
  const header = Number(moved.readBigUInt64LE(40)) + 64 * section;
  moved.writeBigUInt64LE(BigInt(file.length), header + 24);
  moved.writeBigUInt64LE(BigInt(bytes.length), header + 32);
  return moved;
}

describe('odd ends and counts', () => {
  it('a short push in the last bytes of a file is no number of a relocation', () => {
    const plan = {
      type: ET_DYN,
      machine: EM_X86_64,
      sections: [
        { name: '.rela.plt', bytes: new Uint8Array(48), address: 0x1000, type: 4 },
        { name: '.plt', bytes: new Uint8Array(0), address: 0x2000, flags: 6 },
      ],
    };
    const old = withSectionAtEnd(buildElf(plan), 2, Uint8Array.of(0x90, 0x66, 0x68, 1, 0));
    expect(attempt(old, old.length, linked.describe(old, old, NO_MAP)!)).not.toBe('damaged-delta');
  });

  it('all sections together have no more pieces than a description has bytes for', () => {
    const sections = ['.data', '.bss'].map((name, number) => ({
      name,
      bytes: new Uint8Array(64),
      address: 0x1000 + number * 64,
    }));
    const old = buildElf({ type: ET_DYN, machine: EM_X86_64, sections });
    const description = Buffer.alloc(53);
    description.set([20, 20]);
    const project = () => linked.project(old, old.length, description, new RecordMemory());
    expect(project).toThrow(/too many pieces/);
  });
});

describe('the list of projections', () => {
  it('finds one by its name and by what fits', () => {
    expect(projectionNamed('elf-linked')).toBe(linked);
    expect(() => projectionNamed('elf-unheard-of')).toThrow(expect.objectContaining({ code: 'unsupported' }));
    const plan = {
      type: ET_DYN,
      machine: EM_X86_64,
      sections: [{ name: '.text', bytes: new Uint8Array(9), address: 0 }],
    };
    const elf = buildElf(plan);
    const choice = projectionFor(elf, elf, NO_MAP)!;
    expect(choice.projection).toBe(linked);
    expect(choice.comparable.length).toBe(elf.length);
    expect(projectionFor(Buffer.from('text'), elf, NO_MAP)).toBeUndefined();
  });
});
