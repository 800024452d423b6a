/** References in plain data: jump tables of 32-bit distances, and 64-bit addresses in files at a fixed address. */
import { type ElfSection, SHF_ALLOC, SHF_EXECINSTR, SHT_PROGBITS } from './elf.ts';
import { type LinkedFile, POINTER } from './linked-file.ts';
import type { SectionMove } from './section-moves.ts';

/** Shorter tables are not to be told from other data. */
const SHORTEST_TABLE = 3;

/** Section of data that is not known to be a table of its own kind. */
export function isPlainData({ type, flags, name }: ElfSection): boolean {
  return (
    type === SHT_PROGBITS && (flags & SHF_ALLOC) !== 0 && (flags & SHF_EXECINSTR) === 0 && !name.startsWith('.eh_frame')
  );
}

/** Addresses of a file's data that its code takes: where jump tables may begin. */
export class TakenAddresses {
  readonly #file: LinkedFile;
  /** A bit for each four bytes of the file. */
  readonly #taken: Uint8Array;

  constructor(file: LinkedFile) {
    this.#file = file;
    this.#taken = new Uint8Array((file.bytes.length >>> 5) + 1);
  }

  add(address: number): void {
    const at = this.#file.offsetOf(address);
    if (at >= 0) this.#taken[at >>> 5]! |= 1 << ((at >>> 2) & 7);
  }

  has(offset: number): boolean {
    return ((this.#taken[offset >>> 5]! >>> ((offset >>> 2) & 7)) & 1) !== 0;
  }
}

/** Rewrites the jump tables in a section: distances from the table's start to code, as compilers make them of `switch`. */
export function moveJumpTables(file: LinkedFile, section: SectionMove, taken: TakenAddresses): void {
  const { view, map } = file;
  const end = section.old.offset + section.old.size;
  // Compilers align the entries, and so the start.
  let at = Math.ceil(section.old.offset / 4) * 4;
  while (at + 4 <= end) {
    if (!taken.has(at)) {
      at += 4;
      continue;
    }
    const start = at;
    const from = file.addressAt(section, start);
    let tableEnd = at;
    while (tableEnd + 4 <= end && (tableEnd === start || !taken.has(tableEnd))) {
      if (!file.isCode((from + view.getInt32(tableEnd, true)) >>> 0)) break;
      tableEnd += 4;
    }
    at = Math.max(tableEnd, start + 4);
    if (tableEnd - start < SHORTEST_TABLE * 4) continue;
    const shift = map.shiftHere(from);
    for (let entry = start; entry < tableEnd; entry += 4) {
      const distance = view.getInt32(entry, true);
      view.setInt32(entry, distance + map.shift((from + distance) >>> 0) - shift, true);
      file.mark(entry, 4, POINTER);
    }
  }
}

/** Rewrites each aligned word of a section that is an address of the file. */
export function moveAddresses(file: LinkedFile, { old }: SectionMove): void {
  const end = old.offset + old.size - 8;
  for (let at = Math.ceil(old.offset / 8) * 8; at <= end; at += 8) file.moveWord(at);
}
