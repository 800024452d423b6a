/** The file header and the section headers of a rebuilt relocatable file. */
import type { PlaceMap } from './edit-script.ts';
import { SECTION_HEADER_BYTES, SHT_RELA, SHT_SYMTAB, SYMBOL_BYTES } from './elf.ts';
import type { RelocatablePlan } from './relocatable-plan.ts';
import type { Relocatable } from './relocatable-sections.ts';

/**
 * Writes them where they are in the new file.
 * @param places by old index; `indexes` the new index of each old section
 */
export function writeHeaders(
  target: DataView,
  old: Relocatable,
  { sections, sectionsAt }: RelocatablePlan,
  places: readonly (PlaceMap | undefined)[],
  indexes: Uint16Array,
): void {
  const { elf } = old;
  const end = sectionsAt + sections.length * SECTION_HEADER_BYTES;
  if (end > target.byteLength) return;
  const bytes = new Uint8Array(target.buffer, target.byteOffset, target.byteLength);
  target.setUint32(40, sectionsAt, true);
  target.setUint16(60, sections.length, true);
  const namesIndex = elf.view.getUint16(62, true);
  target.setUint16(62, indexes[namesIndex] ?? namesIndex, true);
  const names = places[namesIndex];
  const copyHeader = (index: number, at: number) => {
    const from = elf.sectionsAt + index * SECTION_HEADER_BYTES;
    bytes.set(elf.bytes.subarray(from, from + SECTION_HEADER_BYTES), at);
  };
  copyHeader(0, sectionsAt);
  for (const [index, planned] of sections.entries()) {
    if (planned === undefined) continue;
    const at = sectionsAt + index * SECTION_HEADER_BYTES;
    if (planned.header !== undefined) {
      bytes.set(planned.header, at);
      continue;
    }
    const section = old.sections[planned.from]!;
    copyHeader(section.index, at);
    if (names !== undefined) target.setUint32(at, names.at(target.getUint32(at, true)), true);
    target.setUint32(at + 24, planned.offset, true);
    target.setUint32(at + 32, planned.size, true);
    target.setUint32(at + 40, indexes[section.link] ?? section.link, true);
    if (section.type === SHT_RELA) target.setUint32(at + 44, indexes[section.info] ?? section.info, true);
    const symbols = section.type === SHT_SYMTAB ? places[section.index] : undefined;
    // The number of local symbols.
    if (symbols !== undefined)
      target.setUint32(at + 44, Math.floor(symbols.at(section.info * SYMBOL_BYTES) / SYMBOL_BYTES), true);
  }
}
