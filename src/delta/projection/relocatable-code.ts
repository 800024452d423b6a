/**
 * Code of relocatable files: jumps within a section are not relocated, so they are moved as in linked files. Every section is taken to be
 * at an address of its own, its offset in the file.
 */
import { moveBranches } from './aarch64-branches.ts';
import { AddressMap, CODE, OUTSIDE } from './address-map.ts';
import type { EditScript } from './edit-script.ts';
import { type ElfSection, EM_X86_64, SYMBOL_BYTES } from './elf.ts';
import { LinkedFile, OPCODE } from './linked-file.ts';
import type { Relocatable } from './relocatable-sections.ts';
import { X86Sweep } from './x86-64.ts';

const STT_FUNC = 2;

/** A section that moves: its script in bytes, and its offset in the new file. */
export interface MovedCode {
  readonly section: ElfSection;
  readonly script: EditScript;
  readonly offset: number;
}

/** A file all of whose distances from code to code are put to zero, so that code that moved is alike. */
class BlankedFile extends LinkedFile {
  override moveDistance(at: number): void {
    this.view.setInt32(at, 0, true);
  }
}

function sweep(file: LinkedFile, of: Relocatable, sections: readonly ElfSection[]): void {
  const starts = functionStarts(of);
  const x86 = new X86Sweep(file);
  for (const section of sections) {
    const code = { offset: section.offset, size: section.size, address: section.offset };
    x86.sweep(code, starts.subarray(lowerBound(starts, section.offset)));
  }
}

/** Offsets in the file where functions begin, ascending. */
function functionStarts({ elf, sections }: Relocatable): Uint32Array {
  const symbols = sections.find((section) => section?.role === 'symbols');
  if (symbols === undefined) return new Uint32Array(0);
  const starts: number[] = [];
  for (let at = symbols.offset; at < symbols.offset + symbols.size; at += SYMBOL_BYTES) {
    if ((elf.view.getUint8(at + 4) & 15) !== STT_FUNC) continue;
    const section = sections[elf.view.getUint16(at + 6, true)];
    const value = elf.view.getUint32(at + 8, true);
    if (section !== undefined && value < section.size) starts.push(section.offset + value);
  }
  return Uint32Array.from(starts).sort();
}

function lowerBound(values: Uint32Array, value: number): number {
  let low = 0;
  let high = values.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (values[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Offsets in the file where functions begin. */
export function placesOfFunctions(of: Relocatable): ReadonlySet<number> {
  return new Set(functionStarts(of));
}

/** Code as it is compared: a copy of the file's bytes, distances within its sections of code put to zero. */
export function blankedCode(of: Relocatable): Uint8Array {
  const bytes = Uint8Array.from(of.elf.bytes);
  const elf = { ...of.elf, bytes, view: new DataView(bytes.buffer) };
  const file = new BlankedFile(
    elf,
    [],
    new AddressMap({ starts: Uint32Array.of(0), shifts: Int32Array.of(0), kinds: Uint8Array.of(OUTSIDE) }),
    0,
  );
  if (of.elf.machine === EM_X86_64) sweep(file, of, codeOf(of));
  else for (const section of codeOf(of)) moveBranches(file.view, section, () => 0);
  return bytes;
}

/** Classes that tell the bytes of an instruction apart. */
function markWords(classes: Uint8Array, { offset, size }: ElfSection): void {
  for (let at = offset; at < offset + size; at++) classes[at >>> 1]! |= (OPCODE + (at & 3)) << ((at & 1) << 2);
}

function codeOf({ sections }: Relocatable): ElfSection[] {
  return sections.filter((section) => section?.role === 'code') as ElfSection[];
}

/** Rewrites the distances in sections of code, in place. @returns the classes of the file's bytes */
export function moveCode(of: Relocatable, moved: readonly MovedCode[]): Uint8Array {
  const starts: number[] = [0];
  const shifts: number[] = [0];
  const kinds: number[] = [OUTSIDE];
  for (const { section, script, offset } of [...moved].sort((a, b) => a.section.offset - b.section.offset)) {
    for (let run = 0; run + 1 < script.oldAt.length; run++) {
      starts.push(section.offset + script.oldAt[run]!);
      shifts.push(offset + script.newAt[run]! - section.offset - script.oldAt[run]!);
      kinds.push(CODE);
    }
  }
  const map = new AddressMap({
    starts: Uint32Array.from(starts),
    shifts: Int32Array.from(shifts),
    kinds: Uint8Array.from(kinds),
  });
  const file = new LinkedFile(of.elf, [], map, 0);
  const sections = moved.map(({ section }) => section);
  if (of.elf.machine === EM_X86_64) {
    sweep(file, of, sections);
    return file.classes;
  }
  for (const section of sections) {
    moveBranches(file.view, section, (from, to) => to + map.shift(to) - from - map.shiftHere(from));
    markWords(file.classes, section);
  }
  return file.classes;
}
