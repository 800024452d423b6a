/**
 * References in the tables for the dynamic linker and in symbol tables (gABI 4.1; psABI of x86-64 and AArch64): relocations, symbols,
 * `.dynamic`, hash tables, versions.
 */
import {
  EM_X86_64,
  RELA_BYTES,
  SHT_DYNAMIC,
  SHT_DYNSYM,
  SHT_RELA,
  SHT_RELR,
  SHT_SYMTAB,
  SYMBOL_BYTES,
  signedWord,
} from './elf.ts';
import type { LinkedFile } from './linked-file.ts';
import type { SectionMove } from './section-moves.ts';

const SHT_HASH = 5;
const SHT_GNU_HASH = 0x6ffffff6;
const SHT_GNU_VERDEF = 0x6ffffffd;
const SHT_GNU_VERNEED = 0x6ffffffe;

const R_X86_64_RELATIVE = 8;
const R_X86_64_IRELATIVE = 37;
const R_AARCH64_RELATIVE = 1027;
const R_AARCH64_IRELATIVE = 1032;

/** Rewrites the tables of one file. Sections of other types are left alone. */
export function moveDynamicTables(file: LinkedFile): void {
  for (const move of file.moves) {
    switch (move.old.type) {
      case SHT_RELA:
        moveRelocations(file, move);
        break;
      case SHT_RELR:
        moveRelativeRelocations(file, move);
        break;
      case SHT_DYNSYM:
      case SHT_SYMTAB:
        moveSymbols(file, move);
        break;
      case SHT_DYNAMIC:
        moveDynamic(file, move);
        break;
      case SHT_HASH:
        moveHash(file, move);
        break;
      case SHT_GNU_HASH:
        moveGnuHash(file, move);
        break;
      case SHT_GNU_VERNEED:
      case SHT_GNU_VERDEF:
        moveVersions(file, move);
        break;
    }
  }
}

function moveRelocations(file: LinkedFile, { old }: SectionMove): void {
  const { view, elf } = file;
  const symbols = file.section(old.link);
  const relative = elf.machine === EM_X86_64 ? R_X86_64_RELATIVE : R_AARCH64_RELATIVE;
  const indirect = elf.machine === EM_X86_64 ? R_X86_64_IRELATIVE : R_AARCH64_IRELATIVE;
  const end = old.offset + old.size - RELA_BYTES;
  for (let at = old.offset; at <= end; at += RELA_BYTES) {
    const slot = (signedWord(view, at) - file.base) >>> 0;
    const type = view.getUint32(at + 8, true);
    const symbol = view.getUint32(at + 12, true);
    // The content of the slot itself, where the linker wrote it there too.
    moveSlot(file, slot);
    file.moveWord(at);
    if (type === relative || type === indirect) {
      file.moveWord(at + 16);
    } else if (symbol !== 0) {
      file.moveEntry(at + 12, symbols, SYMBOL_BYTES);
    }
  }
}

/** Words of an address (even), or of a bitmap of the 63 words that follow the last address (odd). */
function moveRelativeRelocations(file: LinkedFile, { old }: SectionMove): void {
  const { view } = file;
  const end = old.offset + old.size - 8;
  let slot = 0;
  for (let at = old.offset; at <= end; at += 8) {
    if ((view.getUint8(at) & 1) === 0) {
      slot = (signedWord(view, at) - file.base) >>> 0;
      moveSlot(file, slot);
      file.moveWord(at);
      slot += 8;
    } else {
      for (let bit = 1; bit < 64; bit++) {
        if (((view.getUint8(at + (bit >>> 3)) >>> (bit & 7)) & 1) !== 0) moveSlot(file, (slot + (bit - 1) * 8) >>> 0);
      }
      slot += 63 * 8;
    }
  }
}

function moveSlot(file: LinkedFile, slot: number): void {
  const at = file.offsetOf(slot);
  if (at >= 0) file.moveWord(at);
}

function moveSymbols(file: LinkedFile, { old }: SectionMove): void {
  const { view, map } = file;
  const names = file.section(old.link);
  const end = old.offset + old.size - SYMBOL_BYTES;
  const STT_TLS = 6;
  for (let at = old.offset; at <= end; at += SYMBOL_BYTES) {
    file.moveEntry(at, names, 1);
    const sectionIndex = view.getUint16(at + 6, true);
    if (sectionIndex === 0) continue;
    const section = file.section(sectionIndex);
    if (section === undefined) continue;
    view.setUint16(at + 6, section.index, true);
    if ((view.getUint8(at + 4) & 15) === STT_TLS) continue;
    const address = (signedWord(view, at + 8) - file.base) >>> 0;
    const size = view.getUint32(at + 16, true);
    if (!file.moveWord(at + 8) || size === 0) continue;
    // The end is taken from the last byte: what follows may have moved elsewhere.
    const last = (address + size - 1) >>> 0;
    view.setUint32(at + 16, size + map.shift(last) - map.shift(address), true);
  }
}

function moveDynamic(file: LinkedFile, { old }: SectionMove): void {
  const { view } = file;
  const names = file.section(old.link);
  const end = old.offset + old.size - 16;
  for (let at = old.offset; at <= end; at += 16) {
    const tag = signedWord(view, at);
    const value = signedWord(view, at + 8);
    if (STRING_TAGS.has(tag)) {
      file.moveEntry(at + 8, names, 1);
    } else if (SIZE_TAGS.has(tag)) {
      const sized = sizedSection(file, tag);
      if (sized !== undefined && sized.old.size === value) view.setUint32(at + 8, sized.size, true);
    } else if (tag > 0 && !NUMBER_TAGS.has(tag)) {
      file.moveWord(at + 8);
    }
  }
}

const DT_NEEDED = 1;
const DT_PLTRELSZ = 2;
const DT_RELASZ = 8;
const DT_STRSZ = 10;
const DT_SONAME = 14;
const DT_RPATH = 15;
const DT_INIT_ARRAYSZ = 27;
const DT_FINI_ARRAYSZ = 28;
const DT_RUNPATH = 29;
const DT_PREINIT_ARRAYSZ = 33;
const DT_RELRSZ = 35;
const STRING_TAGS: ReadonlySet<number> = new Set([DT_NEEDED, DT_SONAME, DT_RPATH, DT_RUNPATH]);
/** Entry sizes, flags, counts. */
const NUMBER_TAGS: ReadonlySet<number> = new Set([
  9, 11, 16, 18, 19, 20, 21, 22, 24, 30, 37, 0x6ffffff9, 0x6ffffffa, 0x6ffffffb, 0x6ffffffd, 0x6fffffff,
]);
const SIZED_SECTIONS: ReadonlyMap<number, string> = new Map([
  [DT_PLTRELSZ, '.rela.plt'],
  [DT_RELASZ, '.rela.dyn'],
  [DT_STRSZ, '.dynstr'],
  [DT_INIT_ARRAYSZ, '.init_array'],
  [DT_FINI_ARRAYSZ, '.fini_array'],
  [DT_PREINIT_ARRAYSZ, '.preinit_array'],
  [DT_RELRSZ, '.relr.dyn'],
]);
const SIZE_TAGS: ReadonlySet<number> = new Set(SIZED_SECTIONS.keys());

function sizedSection(file: LinkedFile, tag: number): SectionMove | undefined {
  return file.named(SIZED_SECTIONS.get(tag) ?? '');
}

/** Buckets and chains of symbol numbers, 32 bits each, behind the number of buckets and of symbols. */
function moveHash(file: LinkedFile, { old }: SectionMove): void {
  const symbols = file.section(old.link);
  moveSymbolNumbers(file, symbols, old.offset + 8, old.offset + old.size);
}

/** Header, Bloom filter, buckets of symbol numbers, hashes. */
function moveGnuHash(file: LinkedFile, { old }: SectionMove): void {
  const { view } = file;
  if (old.size < 16) return;
  const symbols = file.section(old.link);
  const buckets = view.getUint32(old.offset, true);
  const words = view.getUint32(old.offset + 8, true);
  file.moveEntry(old.offset + 4, symbols, SYMBOL_BYTES);
  const start = old.offset + 16 + words * 8;
  moveSymbolNumbers(file, symbols, start, Math.min(start + buckets * 4, old.offset + old.size));
}

function moveSymbolNumbers(file: LinkedFile, symbols: SectionMove | undefined, start: number, end: number): void {
  const { view } = file;
  for (let at = start; at + 4 <= end; at += 4) {
    if (view.getUint32(at, true) !== 0) file.moveEntry(at, symbols, SYMBOL_BYTES);
  }
}

/** Names in version tables: 16 bytes an entry in both, the name's place at 8 in vernaux, at 0 in verdaux, at 4 in verneed. */
function moveVersions(file: LinkedFile, { old }: SectionMove): void {
  const { view } = file;
  const names = file.section(old.link);
  if (names === undefined) return;
  const end = old.offset + old.size;
  const move = (at: number) => {
    if (at + 4 <= end) file.moveEntry(at, names, 1);
  };
  const needed = old.type === SHT_GNU_VERNEED;
  const headBytes = needed ? 16 : 20;
  const partBytes = needed ? 16 : 8;
  let head = old.offset;
  // Hostile entries may share their parts.
  let left = old.size / partBytes;
  while (head + headBytes <= end && left > 0) {
    const parts = view.getUint16(head + (needed ? 2 : 6), true);
    const nextHead = view.getUint32(head + headBytes - 4, true);
    if (needed) move(head + 4);
    let part = head + view.getUint32(head + headBytes - 8, true);
    for (let number = 0; number < parts && part + partBytes <= end && left > 0; number++, left--) {
      move(part + (needed ? 8 : 0));
      const next = view.getUint32(part + partBytes - 4, true);
      if (next < partBytes) break;
      part += next;
    }
    if (nextHead < headBytes) break;
    head += nextHead;
  }
}
