/**
 * The projection of relocatable files, as kernel modules are: rebuilds the old file section by section with the sizes and offsets of the new
 * one, and moves relocations, symbols and everything else that counts places or rows.
 */
import { MAX_LEARNED_NUMBERS } from '../../core/limits.ts';
import type { Btf } from './btf.ts';
import { rebuildBtf } from './btf-move.ts';
import type { BtfScript } from './btf-script.ts';
import { PlaceMap } from './edit-script.ts';
import {
  EM_AARCH64,
  EM_X86_64,
  FILE_HEADER_BYTES,
  RELA_BYTES,
  SECTION_HEADER_BYTES,
  SHT_NOBITS,
  SHT_RELA,
  SHT_SYMTAB,
  SYMBOL_BYTES,
} from './elf.ts';
import { type ByteClasses, newByteClasses, type Projected, type Projection } from './projection.ts';
import { moveCode } from './relocatable-code.ts';
import { describeRelocatable } from './relocatable-describe.ts';
import { RelocatableMemory } from './relocatable-memory.ts';
import { type PlannedSection, type RelocatablePlan, readPlan } from './relocatable-plan.ts';
import { type Relocatable, type RelocatableSection, readRelocatable } from './relocatable-sections.ts';
import { moveRelocation, moveSymbol, type RelocationMaps, sectionSymbols } from './relocations.ts';

export const relocatable: Projection = {
  name: 'relocatable',
  usesMap: false,
  describe(old, next) {
    const oldFile = readRelocatable(old);
    const newFile = readRelocatable(next);
    if (oldFile === undefined || newFile === undefined) return undefined;
    if (oldFile.elf.machine !== EM_X86_64 && oldFile.elf.machine !== EM_AARCH64) return undefined;
    return describeRelocatable(oldFile, newFile);
  },
  project(old, nextSize, _map, description, memory) {
    const file = readRelocatable(old);
    if (file === undefined) return { bytes: old, classes: newByteClasses(old.length) };
    return new Rebuilder(file, readPlan(file, description, nextSize), nextSize, memory.of(RelocatableMemory)).rebuild();
  },
};

interface Lesson {
  readonly at: number;
  readonly number: number;
  readonly learn: (number: number, moved: number) => void;
}

class Rebuilder {
  readonly #old: Relocatable;
  readonly #plan: RelocatablePlan;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #classes: Uint8Array;
  /** By old index. */
  readonly #places: (PlaceMap | undefined)[];
  readonly #indexes: Uint16Array;

  readonly #memory: RelocatableMemory;
  /** What the true file will teach: places in the new file, and the old numbers that stood there. */
  readonly #lessons: Lesson[] = [];

  constructor(old: Relocatable, plan: RelocatablePlan, nextSize: number, memory: RelocatableMemory) {
    this.#memory = memory;
    this.#old = old;
    this.#plan = plan;
    this.#bytes = new Uint8Array(nextSize);
    this.#view = new DataView(this.#bytes.buffer);
    this.#classes = newByteClasses(nextSize);
    this.#places = old.sections.map(() => undefined);
    this.#indexes = new Uint16Array(old.sections.length);
    for (const [index, section] of plan.sections.entries()) {
      if (section === undefined || section.from === 0 || section.script === undefined) continue;
      this.#places[section.from] = new PlaceMap(section.script);
      this.#indexes[section.from] = index;
    }
  }

  rebuild(): Projected {
    const { elf } = this.#old;
    const codeClasses = this.#moveCode();
    this.#copy(0, Math.min(FILE_HEADER_BYTES, elf.bytes.length), 0);
    for (const planned of this.#plan.sections) {
      const section = planned === undefined ? undefined : this.#old.sections[planned.from];
      if (planned === undefined || section === undefined) continue;
      if (section.type === SHT_NOBITS || planned.offset + planned.size > this.#bytes.length) continue;
      if (section.btf !== undefined && planned.btf !== undefined) {
        this.#rebuildBtf(section.btf, planned.btf, planned);
        continue;
      }
      this.#fill(section, planned, section.role === 'code' ? codeClasses : undefined);
      if (section.role === 'symbols') this.#moveSymbols(section, planned);
      else if (section.role === 'relocations') this.#moveRelocations(section, planned);
      else if (section.name === '__versions' || section.name.startsWith('__kcrctab'))
        this.#moveChecksums(section, planned);
    }
    this.#writeHeaders();
    return {
      bytes: this.#bytes,
      classes: this.#classes,
      learn: (next) => {
        const view = new DataView(next.buffer, next.byteOffset, next.byteLength);
        for (const { at, number, learn } of this.#lessons)
          if (at + 4 <= next.length) learn(number, view.getUint32(at, true));
      },
    };
  }

  /** Numbers of the kernel's BTF are looked up in what earlier files taught. */
  #rebuildBtf(old: Btf, script: BtfScript, { offset, size }: PlannedSection): void {
    const { types, strings } = this.#memory;
    const learnType = (number: number, moved: number) => types.learn(number, moved);
    const learnString = (number: number, moved: number) => strings.learn(number, moved);
    const target = new DataView(this.#bytes.buffer, offset, size);
    rebuildBtf(old, script, this.#memory, target, (at, number, isName) => {
      this.#lessons.push({ at: offset + at, number, learn: isName ? learnString : learnType });
    });
  }

  /** Checksums of symbols: the same in all modules that use them, and in the one that exports them. */
  #moveChecksums({ rowBytes }: RelocatableSection, planned: PlannedSection): void {
    const { checksums } = this.#memory;
    const learn = (number: number, moved: number) => {
      if (checksums.size < MAX_LEARNED_NUMBERS) checksums.set(number, moved);
    };
    for (let at = planned.offset; at + 4 <= planned.offset + planned.size; at += rowBytes) {
      const number = this.#view.getUint32(at, true);
      this.#lessons.push({ at, number, learn });
      this.#view.setUint32(at, checksums.get(number) ?? number, true);
    }
  }

  /** Copies bytes of the old file, as far as there is room. */
  #copy(from: number, to: number, target: number): void {
    const length = Math.min(to - from, this.#bytes.length - target);
    if (length > 0) this.#bytes.set(this.#old.elf.bytes.subarray(from, from + length), target);
  }

  /** Puts what stays in its new place; what went is put where something came in its stead. */
  #fill(section: RelocatableSection, planned: PlannedSection, classes: ByteClasses | undefined): void {
    const { oldAt, newAt, lengths } = planned.script!;
    let oldEnd = 0;
    let newEnd = 0;
    for (let run = 0; run < oldAt.length; run++) {
      const gap = Math.min(oldAt[run]! - oldEnd, newAt[run]! - newEnd);
      this.#copy(section.offset + oldEnd, section.offset + oldEnd + gap, planned.offset + newEnd);
      const from = section.offset + oldAt[run]!;
      this.#copy(from, from + lengths[run]!, planned.offset + newAt[run]!);
      if (classes !== undefined) {
        this.#copyClasses(classes, section.offset + oldEnd, gap, planned.offset + newEnd);
        this.#copyClasses(classes, from, lengths[run]!, planned.offset + newAt[run]!);
      }
      oldEnd = oldAt[run]! + lengths[run]!;
      newEnd = newAt[run]! + lengths[run]!;
    }
  }

  #copyClasses(classes: ByteClasses, from: number, count: number, target: number): void {
    for (let step = 0; step < count; step++) {
      const kind = (classes[(from + step) >>> 1]! >>> (((from + step) & 1) << 2)) & 15;
      this.#classes[(target + step) >>> 1]! |= kind << (((target + step) & 1) << 2);
    }
  }

  /** Rewrites the code of the old file. @returns the classes of its bytes */
  #moveCode(): ByteClasses {
    const moved = this.#plan.sections.flatMap((planned) => {
      const section = planned === undefined ? undefined : this.#old.sections[planned.from];
      if (section?.role !== 'code' || planned?.script === undefined) return [];
      return [{ section, script: planned.script, offset: planned.offset }];
    });
    return moveCode(this.#old, moved);
  }

  #moveSymbols(section: RelocatableSection, planned: PlannedSection): void {
    const names = this.#places[section.link];
    const maps = { machine: this.#old.elf.machine, places: this.#places, indexes: this.#indexes };
    for (let at = 0; at + SYMBOL_BYTES <= planned.size; at += SYMBOL_BYTES)
      moveSymbol(this.#view, planned.offset + at, names, maps);
  }

  #moveRelocations(section: RelocatableSection, planned: PlannedSection): void {
    const symbols = this.#old.sections[section.link];
    const { buffer, byteOffset } = this.#old.elf.bytes;
    const maps: RelocationMaps = {
      machine: this.#old.elf.machine,
      places: this.#places,
      indexes: this.#indexes,
      symbols: this.#places[section.link],
      sectionOf:
        symbols?.role === 'symbols'
          ? sectionSymbols(new DataView(buffer, byteOffset + symbols.offset, symbols.size))
          : new Uint16Array(0),
    };
    const host = this.#places[section.info];
    for (let at = 0; at + RELA_BYTES <= planned.size; at += RELA_BYTES)
      moveRelocation(this.#view, planned.offset + at, host, maps);
  }

  /** The file header and the section header table. */
  #writeHeaders(): void {
    const { elf } = this.#old;
    const { sections, sectionsAt } = this.#plan;
    const count = sections.length;
    const end = sectionsAt + count * SECTION_HEADER_BYTES;
    if (end > this.#bytes.length) return;
    const view = this.#view;
    view.setUint32(40, sectionsAt, true);
    view.setUint16(60, count, true);
    const namesIndex = elf.view.getUint16(62, true);
    view.setUint16(62, this.#indexes[namesIndex] ?? namesIndex, true);
    this.#copy(elf.sectionsAt, elf.sectionsAt + SECTION_HEADER_BYTES, sectionsAt);
    const names = this.#places[namesIndex];
    for (let index = 1; index < count; index++) {
      const planned = sections[index]!;
      const at = sectionsAt + index * SECTION_HEADER_BYTES;
      if (planned.header !== undefined) {
        this.#bytes.set(planned.header, at);
        continue;
      }
      const section = this.#old.sections[planned.from]!;
      this.#copy(
        elf.sectionsAt + section.index * SECTION_HEADER_BYTES,
        elf.sectionsAt + (section.index + 1) * SECTION_HEADER_BYTES,
        at,
      );
      if (names !== undefined) view.setUint32(at, names.at(view.getUint32(at, true)), true);
      view.setUint32(at + 24, planned.offset, true);
      view.setUint32(at + 32, planned.size, true);
      view.setUint32(at + 40, this.#indexes[section.link] ?? section.link, true);
      if (section.type === SHT_RELA) view.setUint32(at + 44, this.#indexes[section.info] ?? section.info, true);
      if (section.type === SHT_SYMTAB && planned.script !== undefined)
        view.setUint32(
          at + 44,
          Math.floor(this.#places[section.index]!.at(section.info * SYMBOL_BYTES) / SYMBOL_BYTES),
          true,
        );
    }
    // What follows the table: a module's signature.
    this.#copy(elf.sectionsAt + elf.sectionCount * SECTION_HEADER_BYTES, elf.bytes.length, end);
  }
}
