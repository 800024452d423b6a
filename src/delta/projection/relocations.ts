/** Relocation entries and symbols of a relocatable file (Elf64_Rela, Elf64_Sym), and how they change when sections do. */
import type { PlaceMap } from './edit-script.ts';
import { EM_X86_64, SYMBOL_BYTES } from './elf.ts';

const STT_SECTION = 3;
const SHN_LORESERVE = 0xff00;

/** Of x86-64: the addend counts from the end of a four-byte field. */
const R_X86_64_PC32 = 2;
const R_X86_64_PLT32 = 4;

/** How far a relocation's addend is from the place that it means. */
function addendBias(machine: number, type: number): number {
  return machine === EM_X86_64 && (type === R_X86_64_PC32 || type === R_X86_64_PLT32) ? 4 : 0;
}

/** What is known of an old file's sections in the new one; by old index. */
export interface SectionMaps {
  readonly machine: number;
  /** Place maps in bytes; undefined for a section that is gone. */
  readonly places: readonly (PlaceMap | undefined)[];
  /** New index, 0 for a section that is gone. */
  readonly indexes: Uint16Array;
}

/** For each old symbol: the section that it stands for (STT_SECTION), 0 for others. */
export function sectionSymbols(symbols: DataView): Uint16Array {
  const count = Math.floor(symbols.byteLength / SYMBOL_BYTES);
  const sections = new Uint16Array(count);
  for (let number = 0; number < count; number++) {
    const at = number * SYMBOL_BYTES;
    const index = symbols.getUint16(at + 6, true);
    if ((symbols.getUint8(at + 4) & 15) === STT_SECTION && index < SHN_LORESERVE) sections[number] = index;
  }
  return sections;
}

/** Rewrites a symbol at `at` of a view; `names` is the map of its string table. */
export function moveSymbol(view: DataView, at: number, names: PlaceMap | undefined, maps: SectionMaps): void {
  const name = view.getUint32(at, true);
  if (names !== undefined && name !== 0) view.setUint32(at, names.at(name), true);
  const index = view.getUint16(at + 6, true);
  if (index === 0 || index >= SHN_LORESERVE || index >= maps.indexes.length) return;
  const places = maps.places[index];
  view.setUint16(at + 6, maps.indexes[index]!, true);
  const value = view.getUint32(at + 8, true);
  const size = view.getUint32(at + 16, true);
  if (places === undefined || view.getUint32(at + 12, true) !== 0 || view.getUint32(at + 20, true) !== 0) return;
  const start = places.at(value);
  view.setUint32(at + 8, start, true);
  if (size > 0) view.setUint32(at + 16, Math.max(0, places.endAt(value + size) - start), true);
}

/** Writes a symbol at `at` that is nearest to the one before it: of its kind and section, right behind it. */
export function followSymbol(view: DataView, at: number): void {
  const before = at - SYMBOL_BYTES;
  view.setUint32(at, view.getUint32(before, true), true);
  view.setUint32(at + 4, view.getUint32(before + 4, true), true);
  view.setUint32(at + 8, view.getUint32(before + 8, true) + view.getUint32(before + 16, true), true);
}

export interface RelocationMaps extends SectionMaps {
  /** As {@link sectionSymbols} gives it. */
  readonly sectionOf: Uint16Array;
  /** Map of the symbol table, in bytes. */
  readonly symbols: PlaceMap | undefined;
}

/** The addend that a relocation has in the new file. */
export function movedAddend(addend: number, symbol: number, type: number, maps: RelocationMaps): number {
  const section = symbol < maps.sectionOf.length ? maps.sectionOf[symbol]! : 0;
  const places = section === 0 ? undefined : maps.places[section];
  if (places === undefined) return addend;
  const bias = addendBias(maps.machine, type);
  return places.at(addend + bias) - bias;
}

/** The index that a symbol has in the new file. */
export function movedSymbol(symbol: number, maps: RelocationMaps): number {
  return maps.symbols === undefined ? symbol : Math.floor(maps.symbols.at(symbol * SYMBOL_BYTES) / SYMBOL_BYTES);
}

/** Rewrites a relocation entry at `at` of a view; `host` is the map of the section that is relocated. */
export function moveRelocation(view: DataView, at: number, host: PlaceMap | undefined, maps: RelocationMaps): void {
  if (host !== undefined && view.getUint32(at + 4, true) === 0)
    view.setUint32(at, host.at(view.getUint32(at, true)), true);
  const type = view.getUint32(at + 8, true);
  const symbol = view.getUint32(at + 12, true);
  view.setUint32(at + 12, movedSymbol(symbol, maps), true);
  const low = view.getInt32(at + 16, true);
  const high = view.getInt32(at + 20, true);
  // Places in a section: addends of 32 bits, not far below zero.
  if (high !== low >> 31) return;
  const moved = movedAddend(low, symbol, type, maps);
  view.setInt32(at + 16, moved, true);
  view.setInt32(at + 20, moved < 0 ? -1 : 0, true);
}
