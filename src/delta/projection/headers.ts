/** The headers of an old ELF file, as they are in the new one: file header, program headers, section headers. */
import { PROGRAM_HEADER_BYTES, SECTION_HEADER_BYTES, SHF_ALLOC, SHT_NOBITS } from './elf.ts';
import type { LinkedFile } from './linked-file.ts';
import type { SectionMove } from './section-moves.ts';

/** Linkers make about a dozen. Each is compared with all sections. */
const MAX_MOVED_SEGMENTS = 64;

function setWord(view: DataView, at: number, value: number): void {
  view.setUint32(at, value, true);
  view.setInt32(at + 4, Math.floor(value / 2 ** 32), true);
}

/** Rewrites all headers. */
export function moveHeaders(file: LinkedFile): void {
  moveProgramHeaders(file);
  moveSectionHeaders(file);
  file.moveWord(24);
  const last = file.moves.findLast(({ old }) => old.index === file.elf.sectionCount - 1);
  const { view, elf } = file;
  if (last !== undefined) {
    const end = last.old.offset + last.old.size;
    const newEnd = last.offset + last.size;
    const padding = elf.sectionsAt - end;
    if (padding >= 0 && padding < 8) setWord(view, 40, Math.ceil(newEnd / 8) * 8);
    view.setUint16(60, elf.sectionCount + last.index - last.old.index, true);
    view.setUint16(62, view.getUint16(62, true) + last.index - last.old.index, true);
  }
}

/** A segment begins where its first section does and ends where its last one does. */
function moveProgramHeaders(file: LinkedFile): void {
  const { view, elf, moves } = file;
  const present = moves.filter(({ old }) => (old.flags & SHF_ALLOC) !== 0);
  for (const [number, segment] of elf.segments.slice(0, MAX_MOVED_SEGMENTS).entries()) {
    const { address, offset, fileSize, memorySize } = segment;
    const inside = present.filter(
      ({ old }) => old.address >= address && old.address + old.size <= address + memorySize,
    );
    const first = inside[0];
    const last = inside.at(-1);
    if (first === undefined || last === undefined) continue;
    const header = elf.segmentsAt + number * PROGRAM_HEADER_BYTES;
    // A segment that begins before its first section begins with the file header, which stays.
    const starts = first.old.address === address;
    const newOffset = starts ? first.offset : offset;
    const newAddress = starts ? first.address + file.base : address;
    setWord(view, header + 8, newOffset);
    setWord(view, header + 16, newAddress);
    if (view.getUint32(header + 24, true) === address >>> 0) setWord(view, header + 24, newAddress);
    const lastInFile = inside.findLast(({ old }) => old.type !== SHT_NOBITS);
    if (lastInFile !== undefined && lastInFile.old.offset + lastInFile.old.size === offset + fileSize) {
      setWord(view, header + 32, Math.max(0, lastInFile.offset + lastInFile.size - newOffset));
    }
    if (last.old.address + last.old.size === address + memorySize) {
      setWord(view, header + 40, Math.max(0, last.address + file.base + last.size - newAddress));
    }
  }
}

function moveSectionHeaders({ view, elf, moves, base }: LinkedFile): void {
  const bySection = new Map<number, SectionMove>(moves.map((move) => [move.old.index, move]));
  for (const { old, index, offset, size, address } of moves) {
    if (index <= 0) continue;
    const header = elf.sectionsAt + old.index * SECTION_HEADER_BYTES;
    if ((old.flags & SHF_ALLOC) !== 0) setWord(view, header + 16, address + base);
    setWord(view, header + 24, offset);
    setWord(view, header + 32, size);
    const link = bySection.get(old.link);
    if (link !== undefined && link.index > 0) view.setUint32(header + 40, link.index, true);
  }
}
