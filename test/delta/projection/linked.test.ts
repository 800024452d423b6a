import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { findCoarseMap } from '../../../src/delta/align/find-coarse-map.ts';
import {
  EM_AARCH64,
  EM_X86_64,
  ET_DYN,
  ET_EXEC,
  ET_REL,
  SHF_ALLOC,
  SHF_EXECINSTR,
  SHF_WRITE,
  SHT_DYNSYM,
  SHT_RELA,
  SHT_STRTAB,
} from '../../../src/delta/projection/elf.ts';
import { linked } from '../../../src/delta/projection/linked.ts';
import { RecordMemory } from '../../../src/delta/projection/projection.ts';
import { itWith } from '../../helpers/requirements.ts';
import { buildElf, type SectionPlan } from './elf-builder.ts';
import { describeMoves, foretellSection, NO_MAP, type Pieces } from './foretell.ts';

const CODE = SHF_ALLOC | SHF_EXECINSTR;

function hex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'));
}

function words(...values: readonly number[]): Uint8Array {
  return new Uint8Array(Int32Array.from(values).buffer);
}

function longs(...values: readonly number[]): Uint8Array {
  return new Uint8Array(BigInt64Array.from(values, BigInt).buffer);
}

interface Case {
  readonly type?: number;
  readonly machine?: number;
  readonly sections: readonly SectionPlan[];
  /** Addresses in the new file. */
  readonly moved?: Readonly<Record<string, number>>;
  readonly pieces?: Pieces;
}

/** What a section becomes when sections and their insides move. */
function foretold({ type = ET_DYN, machine = EM_X86_64, sections, moved = {}, pieces }: Case, name: string) {
  const old = buildElf({ type, machine, sections });
  const next = buildElf({
    type,
    machine,
    sections: sections.map((section) => ({ ...section, address: moved[section.name] ?? section.address })),
  });
  return foretellSection(old, next, name, describeMoves(old, next, pieces));
}

describe('x86-64 code', () => {
  const data: SectionPlan = { name: '.data', bytes: new Uint8Array(64), address: 0x3000, flags: SHF_ALLOC | SHF_WRITE };
  const code = (text: string): SectionPlan => ({ name: '.text', bytes: hex(text), address: 0x1000, flags: CODE });

  it('moves the target of a call to another section', () => {
    const sections = [code('e8 fb 1f 00 00 c3'), data];
    expect(foretold({ sections, moved: { '.data': 0x3100 } }, '.text')).toEqual(hex('e8 fb 20 00 00 c3'));
  });

  it('moves a call with its place', () => {
    const sections = [code('e8 fb 1f 00 00 c3'), data];
    expect(foretold({ sections, moved: { '.text': 0x1010 } }, '.text')).toEqual(hex('e8 eb 1f 00 00 c3'));
  });

  it('moves what code refers to behind a piece that moves', () => {
    // call 1006; ret; 1006: ret
    const sections = [code('e8 01 00 00 00 c3 c3')];
    expect(foretold({ sections, pieces: { '.text': [[6, 3]] } }, '.text')).toEqual(hex('e8 04 00 00 00 c3 c3'));
  });

  it.each([
    ['lea', '48 8d 05 f9 1f 00 00', '48 8d 05 f9 20 00 00'],
    ['mov with an immediate of four bytes behind', 'c7 05 f6 1f 00 00 01 02 03 04', 'c7 05 f6 20 00 00 01 02 03 04'],
    ['cmp with an immediate of one byte behind', '80 3d f9 1f 00 00 00', '80 3d f9 20 00 00 00'],
    ['test with an immediate, not its neighbours', 'f6 05 f9 1f 00 00 01', 'f6 05 f9 20 00 00 01'],
    ['a conditional jump', '0f 84 fa 1f 00 00', '0f 84 fa 20 00 00'],
    ['VEX of two bytes', 'c5 fb 10 05 f8 1f 00 00', 'c5 fb 10 05 f8 20 00 00'],
    ['VEX of three bytes with an immediate', 'c4 e3 7d 39 05 f6 1f 00 00 01', 'c4 e3 7d 39 05 f6 20 00 00 01'],
    ['EVEX', '62 f1 7c 48 10 05 f6 1f 00 00', '62 f1 7c 48 10 05 f6 20 00 00'],
  ])('counts the length of %s', (_, before, after) => {
    expect(foretold({ sections: [code(before), data], moved: { '.data': 0x3100 } }, '.text')).toEqual(hex(after));
  });

  it('leaves operands alone that are no references', () => {
    // mov 0x1ff9(%rax),%eax; mov $0x3000,%eax; movabs
    const text = '8b 80 f9 1f 00 00 b8 00 30 00 00 48 b8 00 30 00 00 00 00 00 00';
    expect(foretold({ sections: [code(text), data], moved: { '.data': 0x3100 } }, '.text')).toEqual(hex(text));
  });

  it('moves absolute operands of a file at a fixed address', () => {
    const sections = [code('bf 00 30 00 00 8b 04 c5 08 30 00 00'), data];
    expect(foretold({ type: ET_EXEC, sections, moved: { '.data': 0x3100 } }, '.text')).toEqual(
      hex('bf 00 31 00 00 8b 04 c5 08 31 00 00'),
    );
  });

  it('leaves what leads out of the file alone', () => {
    const text = 'e8 00 00 00 70 c3';
    expect(foretold({ sections: [code(text), data], moved: { '.text': 0x1100 } }, '.text')).toEqual(hex(text));
  });

  it('moves jump tables that code takes the address of', () => {
    const sections = [
      code(`48 8d 05 f9 1f 00 00 ${'c3'.repeat(25)}`),
      { name: '.rodata', bytes: words(-0x1ff9, -0x1ff0, -0x1fe8, 1), address: 0x3000 },
    ];
    expect(foretold({ sections, moved: { '.rodata': 0x3100 } }, '.rodata')).toEqual(
      words(-0x20f9, -0x20f0, -0x20e8, 1),
    );
  });
});

describe('AArch64 code', () => {
  const data: SectionPlan = {
    name: '.data',
    bytes: new Uint8Array(64),
    address: 0x13000,
    flags: SHF_ALLOC | SHF_WRITE,
  };
  const code = (...instructions: readonly number[]): SectionPlan => ({
    name: '.text',
    bytes: words(...instructions),
    address: 0x10000,
    flags: CODE,
  });
  const moving = (instructions: readonly number[], moved: Readonly<Record<string, number>>) =>
    foretold({ machine: EM_AARCH64, sections: [code(...instructions), data], moved }, '.text');

  it.each([
    ['b', 0x14000c00, 0x14000c40],
    ['bl', 0x94000c00, 0x94000c40],
    ['b.eq', 0x54018000, 0x54018800],
    ['cbz', 0xb4018000, 0xb4018800],
    ['tbnz', 0x37018001, 0x37018801],
    ['ldr of a literal', 0x58018000, 0x58018800],
    ['adr', 0x10018000, 0x10018800],
  ])('moves the target of %s', (_, before, after) => {
    expect(moving([before], { '.data': 0x13100 })).toEqual(words(after));
  });

  it('moves pages with the low bits that an instruction adds', () => {
    // adrp x0, 13000; add x0, x0, #8; adrp x1, 13000; ldr x2, [x1, #8]
    const instructions = [0xf0000000, 0x91002000, 0xf0000001, 0xf9400422];
    expect(moving(instructions, { '.data': 0x14ff8 })).toEqual(words(0xb0000020, 0x91000000, 0xb0000021, 0xf9400022));
  });

  it('forgets the page in a register that is written', () => {
    // adrp x0; mov x0, x1; add x0, x0, #8
    const instructions = [0xf0000000, 0xaa0103e0, 0x91002000];
    expect(moving(instructions, { '.data': 0x13100 })).toEqual(words(...instructions));
  });
});

describe('tables', () => {
  const text: SectionPlan = { name: '.text', bytes: new Uint8Array(32).fill(0xc3), address: 0x1000, flags: CODE };
  const data: SectionPlan = {
    name: '.data',
    bytes: longs(0x1008, 7),
    address: 0x3000,
    flags: SHF_ALLOC | SHF_WRITE,
  };
  const R_RELATIVE = 8;

  it('moves relative relocations, and what stands in their slots', () => {
    const sections: SectionPlan[] = [
      { name: '.rela.dyn', type: SHT_RELA, bytes: longs(0x3000, R_RELATIVE, 0x1008), address: 0x400 },
      text,
      data,
    ];
    const moved = { '.text': 0x1020, '.data': 0x3100 };
    expect(foretold({ sections, moved }, '.rela.dyn')).toEqual(longs(0x3100, R_RELATIVE, 0x1028));
    expect(foretold({ sections, moved }, '.data')).toEqual(longs(0x1028, 7));
  });

  it('moves numbers of symbols, names and values', () => {
    const symbol = (name: number, value: number) => {
      const bytes = longs(0, value, 4);
      bytes.set(words(name));
      bytes[6] = 4;
      return bytes;
    };
    const sections: SectionPlan[] = [
      {
        name: '.dynsym',
        type: SHT_DYNSYM,
        bytes: Buffer.concat([longs(0, 0, 0), symbol(1, 0x1004)]),
        address: 0x400,
        link: 2,
      },
      { name: '.dynstr', type: SHT_STRTAB, bytes: Buffer.from('\0main\0'), address: 0x500 },
      { name: '.rela.dyn', type: SHT_RELA, bytes: longs(0x3008, 6 + 2 ** 32, 0), address: 0x600, link: 1 },
      text,
      data,
    ];
    const pieces = { '.dynsym': [[24, 48]], '.dynstr': [[1, 9]] } as const;
    const moved = { '.text': 0x1020 };
    expect(foretold({ sections, moved, pieces }, '.rela.dyn')).toEqual(longs(0x3008, 6 + 3 * 2 ** 32, 0));
    expect(foretold({ sections, moved, pieces }, '.dynsym').subarray(24)).toEqual(symbol(10, 0x1024));
  });

  it('moves unwind tables: places, lengths, advances', () => {
    const cie = hex('14 00 00 00 00 00 00 00 01 7a 52 00 01 78 10 01 1b 0c 07 08 90 01 00 00');
    // pc_begin from 401c + 4 to 1000, 32 bytes; advance 4, then 2
    const fde = Buffer.concat([words(20, 0x1c, 0x1000 - 0x4020, 32), hex('00 44 0e 10 42 0e 08 00')]);
    const sections: SectionPlan[] = [text, { name: '.eh_frame', bytes: Buffer.concat([cie, fde]), address: 0x4000 }];
    const pieces = { '.text': [[5, 3]] } as const;
    const after = Buffer.concat([words(20, 0x1c, 0x1000 - 0x4020, 35), hex('00 44 0e 10 45 0e 08 00')]);
    expect(foretold({ sections, pieces }, '.eh_frame').subarray(24)).toEqual(Uint8Array.from(after));
    expect(foretold({ sections, moved: { '.text': 0x1100 } }, '.eh_frame').subarray(32, 36)).toEqual(
      words(0x1100 - 0x4020),
    );
  });

  it('orders the table of unwind entries by function', () => {
    const header = (...entries: readonly number[]) =>
      Buffer.concat([hex('01 1b 03 3b'), words(-4 - 0x100, entries.length / 2, ...entries)]);
    const bytes = header(0x1000 - 0x4000, -0x80, 0x1008 - 0x4000, -0x40);
    const sections: SectionPlan[] = [
      text,
      { name: '.eh_frame', bytes: new Uint8Array(4), address: 0x3f00 },
      { name: '.eh_frame_hdr', bytes, address: 0x4000 },
    ];
    const pieces = {
      '.text': [
        [0, 16],
        [8, -8],
      ],
    } as const;
    expect(foretold({ sections, pieces }, '.eh_frame_hdr').subarray(12)).toEqual(
      words(0x1000 - 0x4000, -0x40, 0x1010 - 0x4000, -0x80),
    );
  });

  it('moves the self-relative tables of a kernel and its addresses', () => {
    const BASE = -0x7f00_0000;
    const sections: SectionPlan[] = [
      { ...text, address: BASE },
      { name: '__ksymtab', bytes: words(-0x1000, -0x1000, 0), address: BASE + 0x1000 },
      { ...data, bytes: longs(BASE + 8, 5), address: BASE + 0x2000 },
    ];
    const moved = { __ksymtab: BASE + 0x1100, '.data': BASE + 0x2200 };
    const pieces = { '.text': [[4, 4]] } as const;
    expect(foretold({ type: ET_EXEC, sections, moved, pieces }, '__ksymtab').subarray(0, 4)).toEqual(words(-0x1100));
    expect(foretold({ type: ET_EXEC, sections, moved, pieces }, '.data')).toEqual(longs(BASE + 12, 5));
  });
});

describe('whole files', () => {
  const text: SectionPlan = { name: '.text', bytes: new Uint8Array(32).fill(0xc3), address: 0x1000, flags: CODE };

  it('foretells the headers', () => {
    const old = buildElf({ type: ET_DYN, machine: EM_X86_64, sections: [text] });
    const longer = { ...text, bytes: new Uint8Array(80).fill(0xc3) };
    const next = buildElf({ type: ET_DYN, machine: EM_X86_64, sections: [longer] });
    const { bytes } = linked.project(old.slice(), next.length, describeMoves(old, next), new RecordMemory());
    const headers = 64 * 3;
    expect(bytes.subarray(0, 64)).toEqual(next.subarray(0, 64));
    expect(bytes.subarray(-headers)).toEqual(next.subarray(-headers));
  });

  it('describes no pair of other files', () => {
    const elf = (type: number, machine: number) => buildElf({ type, machine, sections: [text] });
    const file = elf(ET_DYN, EM_X86_64);
    expect(linked.describe(file, elf(ET_DYN, EM_AARCH64), NO_MAP)).toBeUndefined();
    expect(linked.describe(elf(ET_REL, EM_X86_64), file, NO_MAP)).toBeUndefined();
    expect(linked.describe(Buffer.from('#!/bin/sh'), file, NO_MAP)).toBeUndefined();
    expect(linked.describe(file, file, NO_MAP)).toBeDefined();
  });

  it('says "damaged-delta" of a description that is cut, too long or points nowhere', () => {
    const file = buildElf({ type: ET_DYN, machine: EM_X86_64, sections: [text] });
    const description = describeMoves(file, file, { '.text': [[4, 8]] });
    const project = (bytes: Uint8Array) => linked.project(file.slice(), file.length, bytes, new RecordMemory());
    expect(() => project(description)).not.toThrow();
    const damaged = expect.objectContaining({ code: 'damaged-delta' });
    for (let length = 0; length < description.length; length++) {
      expect(() => project(description.subarray(0, length))).toThrow(damaged);
    }
    expect(() => project(Buffer.concat([description, Buffer.of(0)]))).toThrow(damaged);
    const outside = description.slice();
    outside[outside.indexOf(4)] = 33;
    expect(() => project(outside)).toThrow(damaged);
  });

  itWith(['bash'], 'foretells a program of this machine from itself, wherever its parts are copied from', () => {
    const program = readFileSync('/bin/bash');
    const description = linked.describe(program, program, findCoarseMap(program, program))!;
    expect(description.length).toBeLessThan(64);
    const projected = linked.project(Uint8Array.from(program), program.length, description, new RecordMemory());
    expect(Buffer.compare(linked.comparable!(program, program), projected.bytes)).toBe(0);
    for (const size of [program.length, 4093]) {
      const pieces: Uint8Array[] = [];
      for (let at = 0; at < program.length; at += size) {
        const piece = projected.bytes.slice(at, at + size);
        projected.settle!(piece, at, at);
        pieces.push(piece);
      }
      expect(Buffer.compare(Buffer.concat(pieces), program)).toBe(0);
    }
  });
});
