/**
 * References in the tables of a linked Linux kernel (vmlinux): distances of 32 bits from the field itself, as in `.orc_unwind_ip`,
 * `__ksymtab`, `__ex_table` and `__bug_table`; the offsets of kallsyms; the relocations that follow the file (arch/x86/tools/relocs.c).
 */
import { CODE, DATA, OUTSIDE } from './address-map.ts';
import { SECTION_HEADER_BYTES } from './elf.ts';
import { type LinkedFile, POINTER } from './linked-file.ts';
import { isPlainData } from './pointers.ts';
import type { SectionMove } from './section-moves.ts';

/** Sections that are such tables: every word that leads out of the section is a distance. */
const DISTANCE_TABLES: ReadonlySet<string> = new Set([
  '.orc_unwind_ip',
  '__ksymtab',
  '__ksymtab_gpl',
  '__ex_table',
  '__bug_table',
  '.altinstructions',
  '.smp_locks',
  '.retpoline_sites',
  '.return_sites',
  '.call_sites',
  '.ibt_endbr_seal',
  '.pci_fixup',
]);

/** Numbers that are no references at all, however they look. */
const NO_REFERENCES: ReadonlySet<string> = new Set(['.orc_unwind', '.BTF', '.BTF_ids', '__kcrctab', '__kcrctab_gpl']);

/** Names of symbols are many: shorter ordered lists are something else. */
const FEWEST_SYMBOLS = 1024;

/** Whether a file is a kernel. */
export function isKernel(file: LinkedFile): boolean {
  return file.named('__ksymtab') !== undefined;
}

/** Rewrites the tables of a kernel. */
export function moveKernelTables(file: LinkedFile): void {
  for (const move of file.moves) {
    if (!isPlainData(move.old) || NO_REFERENCES.has(move.old.name)) continue;
    if (DISTANCE_TABLES.has(move.old.name)) moveDistanceTable(file, move);
    else if (move.old.name === '.rodata') moveSymbolOffsets(file, move);
  }
  moveTrailingRelocations(file);
}

/** Whether 64-bit words of a section may be addresses. */
export function mayHoldAddresses({ old: { name } }: SectionMove): boolean {
  return !NO_REFERENCES.has(name) && !DISTANCE_TABLES.has(name);
}

function moveDistanceTable(file: LinkedFile, move: SectionMove): void {
  const { view, map } = file;
  const { old, oldAddress } = move;
  const end = old.offset + old.size - 3;
  for (let at = old.offset; at < end; at += 4) {
    const from = file.addressAt(move, at);
    const to = (from + view.getInt32(at, true)) >>> 0;
    if (to >= oldAddress && to < oldAddress + old.size) continue;
    if (map.kind(to) !== OUTSIDE) file.moveFarDistance(at, from, 0, POINTER);
  }
}

/**
 * kallsyms_offsets: for each symbol, by address, how far before the first address it is, less one: numbers that are negative and fall. What
 * is not such a list may hold distances to code.
 */
function moveSymbolOffsets(file: LinkedFile, move: SectionMove): void {
  const { view, map } = file;
  const end = move.old.offset + move.old.size - 3;
  let at = Math.ceil(move.old.offset / 4) * 4;
  while (at < end) {
    let next = at + 4;
    let last = view.getInt32(at, true);
    while (last < 0 && next < end) {
      const value = view.getInt32(next, true);
      if (value > last) break;
      last = value;
      next += 4;
    }
    if (next - at < FEWEST_SYMBOLS * 4) {
      at = next;
      continue;
    }
    for (; at < next; at += 4) {
      const to = -1 - view.getInt32(at, true);
      if (to < 0 || map.kind(to) === OUTSIDE) continue;
      view.setInt32(at, -1 - (to + map.shift(to)), true);
      file.mark(at, 4, POINTER);
    }
  }
}

/** Behind the section headers: the low 32 bits of each address that holds an address, for a kernel that is loaded elsewhere. */
function moveTrailingRelocations(file: LinkedFile): void {
  const { elf, view, map, base } = file;
  const start = elf.sectionsAt + elf.sectionCount * SECTION_HEADER_BYTES;
  for (let at = start; at + 4 <= file.bytes.length; at += 4) {
    const address = (view.getInt32(at, true) - base) >>> 0;
    const kind = map.kind(address);
    if (kind !== CODE && kind !== DATA) continue;
    view.setInt32(at, view.getInt32(at, true) + map.shift(address), true);
    file.mark(at, 4, POINTER);
  }
}
