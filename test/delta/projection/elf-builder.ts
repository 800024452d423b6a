/** Small ELF files, section by section. */
import { SHF_ALLOC, SHT_NOBITS, SHT_PROGBITS, SHT_STRTAB } from '../../../src/delta/projection/elf.ts';

export interface SectionPlan {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly address: number;
  readonly type?: number;
  readonly flags?: number;
  /** The number of another section, from 1. */
  readonly link?: number;
  /** In memory, for SHT_NOBITS. */
  readonly size?: number;
}

export interface ElfPlan {
  readonly type: number;
  readonly machine: number;
  readonly sections: readonly SectionPlan[];
}

function setWord(view: DataView, at: number, value: number): void {
  view.setBigInt64(at, BigInt(value), true);
}

/** An ELF file: header, one program header that covers all sections, the sections, their names, section headers. */
export function buildElf({ type, machine, sections }: ElfPlan): Uint8Array {
  const names = [...sections.map(({ name }) => name), '.shstrtab'];
  const nameBytes = Buffer.from(`\0${names.join('\0')}\0`, 'latin1');
  const offsets: number[] = [];
  let end = 64 + 56;
  for (const { bytes } of sections) {
    end = Math.ceil(end / 16) * 16;
    offsets.push(end);
    end += bytes.length;
  }
  const namesAt = end;
  const headersAt = Math.ceil((namesAt + nameBytes.length) / 8) * 8;
  const file = new Uint8Array(headersAt + 64 * (sections.length + 2));
  const view = new DataView(file.buffer);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, type, true);
  view.setUint16(18, machine, true);
  setWord(view, 32, 64);
  setWord(view, 40, headersAt);
  view.setUint16(54, 56, true);
  view.setUint16(56, 1, true);
  view.setUint16(58, 64, true);
  view.setUint16(60, sections.length + 2, true);
  view.setUint16(62, sections.length + 1, true);
  view.setUint32(64, 1, true);
  for (const [number, section] of sections.entries()) {
    const header = headersAt + 64 * (number + 1);
    file.set(section.bytes, offsets[number]!);
    view.setUint32(header, nameBytes.indexOf(`\0${section.name}\0`, 0, 'latin1') + 1, true);
    view.setUint32(header + 4, section.type ?? SHT_PROGBITS, true);
    setWord(view, header + 8, section.flags ?? SHF_ALLOC);
    setWord(view, header + 16, section.address);
    setWord(view, header + 24, offsets[number]!);
    setWord(view, header + 32, section.type === SHT_NOBITS ? (section.size ?? 0) : section.bytes.length);
    view.setUint32(header + 40, section.link ?? 0, true);
    setWord(view, header + 48, 16);
  }
  const header = headersAt + 64 * (sections.length + 1);
  file.set(nameBytes, namesAt);
  view.setUint32(header, nameBytes.length - '.shstrtab'.length - 1, true);
  view.setUint32(header + 4, SHT_STRTAB, true);
  setWord(view, header + 24, namesAt);
  setWord(view, header + 32, nameBytes.length);
  setWord(view, header + 48, 1);
  return file;
}
