/** Small relocatable ELF files, laid out as the kernel's build lays out modules. */
import {
  EM_X86_64,
  ET_REL,
  RELA_BYTES,
  SHF_ALLOC,
  SHF_EXECINSTR,
  SHT_PROGBITS,
  SHT_RELA,
  SHT_STRTAB,
  SHT_SYMTAB,
  SYMBOL_BYTES,
} from '../../../src/delta/projection/elf.ts';

export const PC32 = 2;
export const PLT32 = 4;

export interface Relocation {
  readonly at: number;
  readonly type: number;
  /** Name of a symbol, or of a section for its section symbol. */
  readonly symbol: string;
  readonly addend: number;
}

export interface SectionPlan {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly isCode?: boolean;
  readonly alignment?: number;
  readonly relocations?: readonly Relocation[];
}

export interface SymbolPlan {
  readonly name: string;
  /** Name of its section; without one it is undefined here. */
  readonly section?: string;
  readonly value?: number;
  readonly size?: number;
}

export interface ObjectPlan {
  readonly machine?: number;
  readonly sections: readonly SectionPlan[];
  readonly symbols: readonly SymbolPlan[];
  /** Behind everything, as a signature is. */
  readonly trailer?: Uint8Array;
}

interface Placed {
  readonly name: string;
  readonly type: number;
  readonly flags: number;
  readonly bytes: Uint8Array;
  readonly link: number;
  readonly info: number;
  readonly alignment: number;
  readonly entrySize: number;
}

const FUNCTION = 0x12;
const SECTION = 0x03;

function relocationBytes(relocations: readonly Relocation[], symbolOf: (name: string) => number): Uint8Array {
  const bytes = new Uint8Array(relocations.length * RELA_BYTES);
  const view = new DataView(bytes.buffer);
  for (const [row, { at, type, symbol, addend }] of relocations.entries()) {
    view.setUint32(row * RELA_BYTES, at, true);
    view.setUint32(row * RELA_BYTES + 8, type, true);
    view.setUint32(row * RELA_BYTES + 12, symbolOf(symbol), true);
    view.setBigInt64(row * RELA_BYTES + 16, BigInt(addend), true);
  }
  return bytes;
}

/** Sections, symbols (first those of the sections), names, relocations, names of sections, headers, trailer. */
export function buildObject({ machine = EM_X86_64, sections, symbols, trailer }: ObjectPlan): Uint8Array {
  const names = Buffer.from(`\0${symbols.map(({ name }) => name).join('\0')}\0`, 'latin1');
  const symbolBytes = new Uint8Array((1 + sections.length + symbols.length) * SYMBOL_BYTES);
  const symbolView = new DataView(symbolBytes.buffer);
  const sectionNumber = (name: string | undefined) => sections.findIndex((section) => section.name === name) + 1;
  for (const number of sections.keys()) {
    symbolView.setUint8((number + 1) * SYMBOL_BYTES + 4, SECTION);
    symbolView.setUint16((number + 1) * SYMBOL_BYTES + 6, number + 1, true);
  }
  let nameAt = 1;
  for (const [number, { name, section, value = 0, size = 0 }] of symbols.entries()) {
    const at = (1 + sections.length + number) * SYMBOL_BYTES;
    symbolView.setUint32(at, nameAt, true);
    symbolView.setUint8(at + 4, FUNCTION);
    symbolView.setUint16(at + 6, sectionNumber(section), true);
    symbolView.setUint32(at + 8, value, true);
    symbolView.setUint32(at + 16, size, true);
    nameAt += name.length + 1;
  }
  const symbolOf = (name: string) =>
    sectionNumber(name) || 1 + sections.length + symbols.findIndex((symbol) => symbol.name === name);
  const symtab = sections.length + 1;
  const placed: Placed[] = sections.map(({ name, bytes, isCode, alignment = 1 }) => ({
    name,
    type: SHT_PROGBITS,
    flags: SHF_ALLOC | (isCode === true ? SHF_EXECINSTR : 0),
    bytes,
    link: 0,
    info: 0,
    alignment,
    entrySize: 0,
  }));
  const table = { flags: 0, info: 0, alignment: 8, entrySize: 0, link: 0 };
  placed.push(
    {
      ...table,
      name: '.symtab',
      type: SHT_SYMTAB,
      bytes: symbolBytes,
      link: symtab + 1,
      info: 1 + sections.length,
      entrySize: 24,
    },
    { ...table, name: '.strtab', type: SHT_STRTAB, bytes: names, alignment: 1 },
  );
  for (const { name, relocations } of sections) {
    if (relocations === undefined) continue;
    const bytes = relocationBytes(relocations, symbolOf);
    placed.push({
      ...table,
      name: `.rela${name}`,
      type: SHT_RELA,
      bytes,
      link: symtab,
      info: sectionNumber(name),
      entrySize: 24,
    });
  }
  const sectionNames = Buffer.from(`\0${[...placed.map(({ name }) => name), '.shstrtab'].join('\0')}\0`, 'latin1');
  placed.push({ ...table, name: '.shstrtab', type: SHT_STRTAB, bytes: sectionNames, alignment: 1 });
  return layOut(machine, placed, sectionNames, trailer ?? new Uint8Array(0));
}

function layOut(machine: number, placed: readonly Placed[], names: Buffer, trailer: Uint8Array): Uint8Array {
  const offsets: number[] = [];
  let end = 64;
  for (const { bytes, alignment } of placed) {
    end = Math.ceil(end / alignment) * alignment;
    offsets.push(end);
    end += bytes.length;
  }
  const headersAt = Math.ceil(end / 8) * 8;
  const headersEnd = headersAt + 64 * (placed.length + 1);
  const file = new Uint8Array(headersEnd + trailer.length);
  const view = new DataView(file.buffer);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  file.set(trailer, headersEnd);
  view.setUint16(16, ET_REL, true);
  view.setUint16(18, machine, true);
  view.setUint32(40, headersAt, true);
  view.setUint16(58, 64, true);
  view.setUint16(60, placed.length + 1, true);
  view.setUint16(62, placed.length, true);
  for (const [number, section] of placed.entries()) {
    const header = headersAt + 64 * (number + 1);
    file.set(section.bytes, offsets[number]!);
    view.setUint32(header, names.indexOf(`\0${section.name}\0`, 0, 'latin1') + 1, true);
    view.setUint32(header + 4, section.type, true);
    view.setUint32(header + 8, section.flags, true);
    view.setUint32(header + 24, offsets[number]!, true);
    view.setUint32(header + 32, section.bytes.length, true);
    view.setUint32(header + 40, section.link, true);
    view.setUint32(header + 44, section.info, true);
    view.setUint32(header + 48, section.alignment, true);
    view.setUint32(header + 56, section.entrySize, true);
  }
  return file;
}
