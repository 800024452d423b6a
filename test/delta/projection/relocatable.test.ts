import { describe, expect, it } from 'vitest';
import { EM_AARCH64, readElf } from '../../../src/delta/projection/elf.ts';
import { RecordMemory } from '../../../src/delta/projection/projection.ts';
import { relocatable } from '../../../src/delta/projection/relocatable.ts';
import { buildBtf, type TypePlan } from './btf-builder.ts';
import { NO_MAP } from './foretell.ts';
import { buildObject, type ObjectPlan, PC32, PLT32, type Relocation, type SectionPlan } from './object-builder.ts';

/** mov eax, number (or to the register of another opcode); so often. */
function code(count: number, first = 1, opcode = 0xb8): number[] {
  return Array.from({ length: count }, (_, index) => [
    opcode,
    (first + index) & 255,
    (first + index) >> 8,
    0,
    0,
  ]).flat();
}

function jump(distance: number): number[] {
  const bytes = Buffer.alloc(5);
  bytes[0] = 0xe9;
  bytes.writeInt32LE(distance, 1);
  return [...bytes];
}

function project(old: Uint8Array, next: Uint8Array, memory = new RecordMemory()): Uint8Array {
  const description = relocatable.describe(old, next, NO_MAP)!;
  const projected = relocatable.project(Uint8Array.from(old), next.length, description, memory);
  projected.learn?.(next);
  return projected.bytes;
}

/** Where two files differ: names of sections, with the offsets in them. */
function differences(projected: Uint8Array, next: Uint8Array): Record<string, number[]> {
  expect(projected.length).toBe(next.length);
  const found: Record<string, number[]> = {};
  const sections = readElf(next)!.sections;
  for (let at = 0; at < next.length; at++) {
    if (projected[at] === next[at]) continue;
    const section = sections.find(({ offset, size }) => at >= offset && at < offset + size);
    const name = section?.name ?? 'headers';
    found[name] ??= [];
    found[name].push(at - (section?.offset ?? 0));
  }
  return found;
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, index) => from + index);
}

/**
 * Two functions of 100 bytes and one of 50; of the second the middle is where `inserted` comes. Each section refers to all others.
 * A jump goes from the first to the third.
 */
function module(inserted: readonly number[], trailer = ''): ObjectPlan {
  const more = inserted.length;
  const text = Uint8Array.from([
    ...code(10),
    ...jump(145 + more),
    ...code(9, 20),
    ...code(10, 40),
    ...inserted,
    ...code(10, 60),
    ...code(10, 80),
  ]);
  const relocations: Relocation[] = [
    { at: 6, type: PLT32, symbol: 'printk', addend: -4 },
    { at: 101, type: PC32, symbol: '.data', addend: 12 },
    { at: 176 + more, type: PC32, symbol: '.text', addend: 206 + more },
    { at: 211 + more, type: PLT32, symbol: 'second', addend: -4 },
  ];
  const rows = [0, 100, 150 + more, 200 + more];
  const sections: SectionPlan[] = [
    { name: '.text', isCode: true, alignment: 16, bytes: text, relocations },
    { name: '.note', bytes: Uint8Array.of(1, 2, 3) },
    {
      name: '.orc_unwind_ip',
      bytes: new Uint8Array(16),
      relocations: rows.map((addend, row) => ({ at: row * 4, type: PC32, symbol: '.text', addend })),
    },
    { name: '.orc_unwind', bytes: Uint8Array.from({ length: 24 }, (_, at) => at >> 2) },
    {
      name: '.data',
      alignment: 8,
      bytes: new Uint8Array(32),
      relocations: [{ at: 16, type: 1, symbol: 'third', addend: 0 }],
    },
  ];
  return {
    sections,
    symbols: [
      { name: 'first', section: '.text', value: 0, size: 100 },
      { name: 'second', section: '.text', value: 100, size: 100 + more },
      { name: 'third', section: '.text', value: 200 + more, size: 50 },
      { name: 'printk' },
    ],
    trailer: Buffer.from(trailer),
  };
}

describe('the projection of relocatable files', () => {
  it('leaves nothing but the inserted code where code is inserted', () => {
    const old = buildObject(module([], 'signature'));
    const next = buildObject(module(code(5, 200, 0xb9), 'signature'));
    const left = differences(project(old, next), next);
    expect(left).toEqual({ '.text': range(150, 175).filter((at) => next[64 + at] !== 0) });
  });

  it('leaves nothing where code is taken away', () => {
    const old = buildObject(module(code(5, 200)));
    const next = buildObject(module([]));
    expect(differences(project(old, next), next)).toEqual({});
  });

  it('says nothing of a file whose sections stay as they are', () => {
    const old = buildObject(module(code(2), 'old signature'));
    const next = buildObject(module(code(2), 'new signature'));
    expect([...relocatable.describe(old, next, NO_MAP)!]).toEqual([0]);
    expect(Object.keys(differences(project(old, next), next))).toEqual(['headers']);
  });

  it('foretells the rows of tables that come with new code, but for what they refer to', () => {
    const plan = module([]);
    const old = buildObject(plan);
    const addends = [0, 100, 120, 150, 200];
    const sections = plan.sections.map((section): SectionPlan => {
      if (section.name === '.orc_unwind')
        return {
          ...section,
          bytes: new Uint8Array([...section.bytes.subarray(0, 12), 9, 9, 9, 9, 9, 9, ...section.bytes.subarray(12)]),
        };
      if (section.name !== '.orc_unwind_ip') return section;
      return {
        ...section,
        bytes: new Uint8Array(20),
        relocations: addends.map((addend, row) => ({ at: row * 4, type: PC32, symbol: '.text', addend })),
      };
    });
    const next = buildObject({ ...plan, sections });
    expect(differences(project(old, next), next)).toEqual({
      '.orc_unwind': range(12, 18),
      '.rela.orc_unwind_ip': [2 * 24 + 16],
    });
  });

  it('follows symbols and sections that come and go', () => {
    const plan = module([]);
    const old = buildObject(plan);
    const next = buildObject({
      ...plan,
      sections: [
        { name: '.init', bytes: Uint8Array.of(7, 7) },
        ...plan.sections.filter(({ name }) => name !== '.note'),
      ],
      symbols: [{ name: 'added', section: '.data', value: 8, size: 8 }, ...plan.symbols],
    });
    const left = differences(project(old, next), next);
    expect(left['.rela.text']).toBeUndefined();
    expect(left['.rela.data']).toBeUndefined();
    // The content of what is new is not foretold.
    expect(left['.init']).toEqual([0, 1]);
    expect(left['.strtab']).toHaveLength('added'.length);
    expect(left['.text']).toBeUndefined();
  });

  it('moves the branches of AArch64 code', () => {
    const branch = (words: number) => [words & 255, (words >> 8) & 255, 0, 0x14];
    const plain = (first: number) => range(first, first + 20).flatMap((number) => [number, 1, 2, 0x91]);
    const build = (inserted: number[]) =>
      buildObject({
        machine: EM_AARCH64,
        sections: [
          {
            name: '.text',
            isCode: true,
            alignment: 4,
            bytes: Uint8Array.from([...branch(31 + inserted.length / 4), ...plain(0), ...inserted, ...plain(40)]),
          },
        ],
        symbols: [],
      });
    const next = build(plain(100));
    expect(differences(project(build([]), next), next)).toEqual({
      '.text': range(84, 164).filter((at) => next[64 + at] !== 0),
    });
  });

  it('learns checksums of symbols from the members before', () => {
    const versions = (checksums: readonly number[]) => {
      const bytes = new Uint8Array(checksums.length * 64);
      for (const [row, checksum] of checksums.entries()) {
        new DataView(bytes.buffer).setUint32(row * 64, checksum, true);
        bytes.set(Buffer.from(`symbol_${checksum % 1000}`), row * 64 + 8);
      }
      return buildObject({ sections: [{ name: '__versions', bytes, alignment: 32 }], symbols: [] });
    };
    const memory = new RecordMemory();
    const next = versions([5001, 7002]);
    expect(differences(project(versions([1001, 2002]), next, memory), next)).not.toEqual({});
    const other = versions([7002, 9003, 5001]);
    const left = differences(project(versions([2002, 9003, 1001]), other, memory), other);
    expect(left).toEqual({});
  });

  it('is for relocatable files of one machine', () => {
    const old = buildObject(module([]));
    const text = Buffer.from('no ELF file');
    expect(relocatable.describe(old, text, NO_MAP)).toBeUndefined();
    expect(relocatable.describe(text, old, NO_MAP)).toBeUndefined();
    expect(relocatable.describe(old, buildObject({ ...module([]), machine: EM_AARCH64 }), NO_MAP)).toBeUndefined();
    const kept = Uint8Array.from(text);
    expect(relocatable.project(kept, 99, Uint8Array.of(0), new RecordMemory()).bytes).toBe(kept);
  });

  it('does not change the files that it compares', () => {
    const old = Buffer.from(buildObject(module([])));
    const next = Buffer.from(buildObject(module(code(3))));
    const copies = [Uint8Array.from(old), Uint8Array.from(next)];
    relocatable.describe(old, next, NO_MAP);
    expect([Uint8Array.from(old), Uint8Array.from(next)]).toEqual(copies);
  });
});

describe('BTF of modules', () => {
  const types = (extra: readonly TypePlan[]): TypePlan[] => {
    const from = extra.length;
    return [
      ...extra,
      {
        kind: 'structure',
        name: 'device_state',
        members: [
          { name: 'lock', type: { kernel: 50 } },
          { name: 'next', type: { own: from + 1 } },
        ],
      },
      { kind: 'pointer', to: { own: from } },
      { kind: 'prototype', returns: { kernel: 7 } },
      { kind: 'function', name: 'device_open', type: { own: from + 2 } },
      { kind: 'prototype', returns: { own: from + 1 } },
      { kind: 'function', name: 'device_close', type: { own: from + 4 } },
    ];
  };
  const object = (bytes: Uint8Array) => buildObject({ sections: [{ name: '.BTF', bytes }], symbols: [] });
  const kernels = { old: { types: 1000, strings: 5000 }, next: { types: 1003, strings: 5040 } };

  it('has numbers of its own, which move with the size of the kernel', () => {
    const old = object(buildBtf(types([]), kernels.old));
    const next = object(buildBtf(types([]), kernels.next));
    expect(differences(project(old, next), next)).toEqual({});
  });

  it('has strings in the order in which types name them, whatever the order of the types', () => {
    const old = object(buildBtf(types([]), kernels.old));
    const turned: TypePlan[] = [
      { kind: 'prototype', returns: { kernel: 7 } },
      { kind: 'function', name: 'device_open', type: { own: 0 } },
      { kind: 'prototype', returns: { own: 5 } },
      { kind: 'function', name: 'device_close', type: { own: 2 } },
      {
        kind: 'structure',
        name: 'device_state',
        members: [
          { name: 'lock', type: { kernel: 50 } },
          { name: 'next', type: { own: 5 } },
        ],
      },
      { kind: 'pointer', to: { own: 4 } },
    ];
    const next = object(buildBtf(turned, kernels.next));
    expect(differences(project(old, next), next)).toEqual({});
  });

  it('learns the numbers of the kernel from the members before', () => {
    const memory = new RecordMemory();
    const uses = (id: number, name: number): TypePlan[] => [
      { kind: 'structure', name, members: [{ name: 'data', type: { kernel: id } }] },
    ];
    const first = object(buildBtf(types(uses(300, 2000)), kernels.next));
    const left = differences(project(object(buildBtf(types(uses(298, 1990)), kernels.old)), first, memory), first);
    expect(left['.BTF']).toEqual([24, 40]);
    // Neighbours move alike.
    const second = object(buildBtf(types(uses(303, 2005)), kernels.next));
    expect(differences(project(object(buildBtf(types(uses(301, 1995)), kernels.old)), second, memory), second)).toEqual(
      {},
    );
  });
});
