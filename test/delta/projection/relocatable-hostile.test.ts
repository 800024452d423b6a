import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_BTF_TYPES, MAX_LEARNED_NUMBERS } from '../../../src/core/limits.ts';
import { readBtf } from '../../../src/delta/projection/btf.ts';
import { EM_AARCH64, EM_X86_64, ET_REL, readElf, SHT_RELA, SHT_SYMTAB } from '../../../src/delta/projection/elf.ts';
import { newByteClasses, RecordMemory } from '../../../src/delta/projection/projection.ts';
import { relocatable } from '../../../src/delta/projection/relocatable.ts';
import { NumberShifts } from '../../../src/delta/projection/relocatable-memory.ts';
import { buildBtf, type TypePlan, type TypeReference } from './btf-builder.ts';
import { buildElf } from './elf-builder.ts';
import { NO_MAP } from './foretell.ts';
import { expectSameOutcomes, mutatedFiles, outcomeOf } from './hostile-files.ts';
import { buildObject, type ObjectPlan, type SectionPlan } from './object-builder.ts';

const SCALE = Number(process.env.OSUPD_TEST_SCALE ?? 1);

const UNCHANGED = Uint8Array.of(0);

/** Sections that have rules of their own. */
const NAMES = [
  '.text',
  '.orc_unwind',
  '.orc_unwind_ip',
  '__jump_table',
  '__versions',
  '__kcrctab',
  '.modinfo',
  '.data',
  '.BTF',
];

const reference: fc.Arbitrary<TypeReference> = fc.oneof(
  fc.record({ own: fc.nat(12) }),
  fc.record({ kernel: fc.nat(2000) }),
);
const typeName = fc.oneof(fc.constantFrom('list', 'node', 'list_head'), fc.nat(5000));
const type: fc.Arbitrary<TypePlan> = fc.oneof(
  fc.record({ kind: fc.constant('pointer' as const), to: reference }),
  fc.record({ kind: fc.constant('prototype' as const), returns: reference }),
  fc.record({
    kind: fc.constant('structure' as const),
    name: typeName,
    members: fc.array(fc.record({ name: typeName, type: reference }), { maxLength: 3 }),
  }),
);
const btf = fc
  .tuple(fc.array(type, { maxLength: 12 }), fc.nat(2000), fc.nat(5000))
  .map(([types, kernelTypes, strings]) => buildBtf(types, { types: kernelTypes, strings }));

const section: fc.Arbitrary<SectionPlan> = fc.constantFrom(...NAMES).chain((name) =>
  fc.record({
    name: fc.constant(name),
    bytes: name === '.BTF' ? btf : fc.uint8Array({ maxLength: 260 }),
    isCode: fc.constant(name === '.text'),
    alignment: fc.constantFrom(1, 4, 16),
    relocations: fc.array(
      fc.record({
        at: fc.nat(300),
        type: fc.nat(5),
        symbol: fc.constantFrom('.text', '.data', 'first', 'second'),
        addend: fc.integer({ min: -8, max: 300 }),
      }),
      { maxLength: 8 },
    ),
  }),
);

const object: fc.Arbitrary<Uint8Array> = fc
  .record({
    machine: fc.constantFrom(EM_X86_64, EM_X86_64, EM_AARCH64),
    sections: fc.uniqueArray(section, { maxLength: 7, selector: ({ name }) => name }),
    symbols: fc.array(
      fc.record({
        name: fc.constantFrom('first', 'second', 'third'),
        section: fc.constantFrom('.text', '.data'),
        value: fc.nat(300),
        size: fc.nat(100),
      }),
      { maxLength: 4 },
    ),
    trailer: fc.uint8Array({ maxLength: 20 }),
  })
  .map((plan: ObjectPlan) => buildObject(plan));

const mutated = mutatedFiles(object, 8);

/** Projects two members; gives what came out, or the code of the error. */
function attempt(old: Uint8Array, nextSize: number, description: Uint8Array): string {
  const memory = new RecordMemory();
  const project = () => {
    const projected = relocatable.project(Uint8Array.from(old), nextSize, description, memory);
    expect([old.length, nextSize]).toContain(projected.bytes.length);
    expect(projected.classes.length).toBe(newByteClasses(projected.bytes.length).length);
    projected.learn?.(new Uint8Array(nextSize).fill(7));
    return Buffer.concat([projected.bytes, projected.classes]);
  };
  return outcomeOf(() => Buffer.concat([project(), project()]));
}

describe('hostile relocatable files and descriptions', () => {
  it('end in bytes or in "damaged-delta", always in the same ones', () => {
    expectSameOutcomes(mutated, attempt, 2000 * SCALE);
  }, 600_000);

  it('are projected from what the encoder says of them', () => {
    fc.assert(
      fc.property(mutated, mutated, (old, next) => {
        const copies = [Buffer.from(old), Buffer.from(next)];
        const description = relocatable.describe(old, next, NO_MAP);
        expect([Buffer.from(old), Buffer.from(next)]).toEqual(copies);
        if (description !== undefined) expect(attempt(old, next.length, description)).not.toBe('damaged-delta');
      }),
      { numRuns: 1500 * SCALE },
    );
  }, 600_000);

  it('are refused or projected where a description of theirs is changed', () => {
    fc.assert(
      fc.property(object, object, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }), (old, next, changes) => {
        const description = relocatable.describe(old, next, NO_MAP);
        if (description === undefined) return;
        const changed = Uint8Array.from(description);
        for (const [place, value] of changes) changed[place % changed.length] = value;
        expect(attempt(old, next.length, changed)).toMatch(/^([0-9a-f]*|damaged-delta)$/);
        expect(attempt(old, next.length >> 1, description)).toMatch(/^([0-9a-f]*|damaged-delta)$/);
      }),
      { numRuns: 1500 * SCALE },
    );
  }, 600_000);

  it('have all their bytes where nothing changes', () => {
    fc.assert(
      fc.property(object, (file) => {
        const description = relocatable.describe(file, file, NO_MAP);
        if (description === undefined) return;
        const { bytes } = relocatable.project(Uint8Array.from(file), file.length, description, new RecordMemory());
        expect(bytes.length).toBe(file.length);
        for (const { offset, size, type: kind, name } of readElf(file)!.sections) {
          // References to nowhere are not kept; what numbers of BTF mean is guessed from those that are usual.
          if (kind === SHT_RELA || kind === SHT_SYMTAB || name === '.BTF') continue;
          expect(Buffer.compare(bytes.subarray(offset, offset + size), file.subarray(offset, offset + size))).toBe(0);
        }
      }),
      { numRuns: 500 * SCALE },
    );
  }, 600_000);

  it('are left as they are where a section claims more than 4 GiB', () => {
    const file = buildObject({ sections: [{ name: '.bss', bytes: new Uint8Array(0) }], symbols: [] });
    const view = new DataView(file.buffer);
    const header = view.getUint32(40, true) + 64;
    const SHT_NOBITS = 8;
    view.setUint32(header + 4, SHT_NOBITS, true);
    view.setUint32(header + 36, 1, true);
    expect(relocatable.describe(file, file, NO_MAP)).toBeUndefined();
    const kept = Uint8Array.from(file);
    expect(relocatable.project(kept, 10, UNCHANGED, new RecordMemory()).bytes).toBe(kept);
  });

  it('are described in no more time for each section where there are thousands', () => {
    const table = { name: '__kcrctab', bytes: new Uint8Array(4), address: 0 };
    const file = buildElf({ type: ET_REL, machine: EM_X86_64, sections: new Array(40_000).fill(table) });
    expect(relocatable.describe(file, file, NO_MAP)).toBeDefined();
  }, 10_000);

  it('have no more types than a kernel', () => {
    const withTypes = (count: number) => {
      const words = new Uint32Array(6 + 3 * count);
      words.set([0x0001_eb9f, 24, 0, 12 * count, 12 * count, 0]);
      const FORWARD = 7 << 24;
      for (let number = 0; number < count; number++) words[6 + 3 * number + 1] = FORWARD;
      return readBtf(new DataView(words.buffer));
    };
    expect(withTypes(MAX_BTF_TYPES)?.starts.length).toBe(MAX_BTF_TYPES + 1);
    expect(withTypes(MAX_BTF_TYPES + 1)).toBeUndefined();
  });
});

describe('numbers that moved', () => {
  it('are known as they were learned last, others as the next one below', () => {
    const lesson = fc.array(fc.tuple(fc.nat(40), fc.nat(100)), { maxLength: 20 });
    fc.assert(
      fc.property(fc.array(lesson, { maxLength: 5 }), (lessons) => {
        const shifts = new NumberShifts();
        const known = new Map<number, number>();
        for (const list of lessons) {
          shifts.learn(new Map(list));
          for (const [number, moved] of new Map(list)) known.set(number, moved - number);
          for (let number = 0; number < 50; number++) {
            const below = Math.max(...[...known.keys()].filter((other) => other <= number), -1);
            expect(shifts.moved(number)).toBe(number + (known.get(below) ?? 0));
          }
        }
      }),
    );
  });

  it('are no more than can be learned', () => {
    const shifts = new NumberShifts();
    shifts.learn(new Map(Array.from({ length: MAX_LEARNED_NUMBERS + 1 }, (_, number) => [number * 2, number * 2 + 1])));
    expect(shifts.moved(2)).toBe(3);
    shifts.learn(new Map([[1, 100]]));
    expect(shifts.moved(1)).toBe(2);
  });
});
