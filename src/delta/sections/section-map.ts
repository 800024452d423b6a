/** What the bytes of a file are, as far as its headers say. */
import { toText } from '../../core/bytes.ts';
import { readElf, SECTION_HEADER_BYTES, SHT_NOBITS } from '../projection/elf.ts';

/** Pieces that follow each other without a gap, from 0 to the end of the file. */
export interface SectionMap {
  /** Where each piece ends, rising; the last at the file's size. */
  readonly ends: readonly number[];
  readonly names: readonly string[];
}

export const NO_SECTIONS = '(not ELF)';

/** Sections of an ELF file by their names, with what lies around them; of other files one piece. Takes any bytes. */
export function sectionMapOf(bytes: Uint8Array): SectionMap {
  const elf = readElf(bytes);
  if (elf === undefined) return { ends: [bytes.length], names: [NO_SECTIONS] };
  const tableSize = elf.sectionCount * SECTION_HEADER_BYTES;
  const pieces = elf.sections
    .filter(({ type, size }) => type !== SHT_NOBITS && size > 0)
    .map(({ name, offset, size }) => ({ name: toText(name) || '(unnamed)', offset, end: offset + size }));
  if (tableSize > 0)
    pieces.push({ name: '(section headers)', offset: elf.sectionsAt, end: elf.sectionsAt + tableSize });
  pieces.sort((a, b) => a.offset - b.offset);
  const map = new MapBuilder();
  for (const { name, offset, end } of pieces) {
    map.extend(map.end === 0 ? '(headers)' : '(padding)', offset);
    map.extend(name, end);
  }
  map.extend(map.end === 0 ? NO_SECTIONS : '(appended)', bytes.length);
  return map;
}

class MapBuilder implements SectionMap {
  readonly ends: number[] = [];
  readonly names: string[] = [];

  get end(): number {
    return this.ends.at(-1) ?? 0;
  }

  /** Gives what lies between the end so far and a new one a name. */
  extend(name: string, end: number): void {
    if (end <= this.end) return;
    this.ends.push(end);
    this.names.push(name);
  }
}
