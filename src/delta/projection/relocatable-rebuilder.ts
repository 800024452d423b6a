/** Rebuilds an old relocatable file as the new one is foretold to be. */
import type { Btf } from './btf.ts';
import { rebuildBtf } from './btf-move.ts';
import type { BtfScript } from './btf-script.ts';
import { PlaceMap } from './edit-script.ts';
import { FILE_HEADER_BYTES, RELA_BYTES, SECTION_HEADER_BYTES, SHT_NOBITS, SHT_STRTAB, SYMBOL_BYTES } from './elf.ts';
import { type ByteClasses, newByteClasses, type Projected } from './projection.ts';
import { moveCode } from './relocatable-code.ts';
import { writeHeaders } from './relocatable-headers.ts';
import { Lessons, type RelocatableMemory } from './relocatable-memory.ts';
import type { PlannedSection, RelocatablePlan } from './relocatable-plan.ts';
import { type Relocatable, type RelocatableSection, viewOf } from './relocatable-sections.ts';
import { patternOf, writePattern } from './relocation-pattern.ts';
import { followSymbol, moveRelocation, moveSymbol, type RelocationMaps, sectionSymbols } from './relocations.ts';
import {
  BTF_KIND,
  CHECKSUM_KIND,
  HEADER_KIND,
  markRows,
  RELOCATION_KINDS,
  SIGNATURE_KIND,
  SYMBOL_KINDS,
  sixKinds,
  TABLE_KIND,
  TEXT_KIND,
  UNWIND_KIND,
} from './word-kinds.ts';

/** Sections whose rows begin with the checksum of a symbol. */
function isChecksums({ role, name }: RelocatableSection): boolean {
  return role === 'table' && (name === '__versions' || name.startsWith('__kcrctab'));
}

/** Makes what the new file is foretold to be. */
export class Rebuilder {
  readonly #old: Relocatable;
  readonly #plan: RelocatablePlan;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #classes: Uint8Array;
  /** By old index. */
  readonly #places: (PlaceMap | undefined)[];
  readonly #indexes: Uint16Array;

  readonly #memory: RelocatableMemory;
  /** What the true file will teach. */
  readonly #typeLessons: Lessons;
  readonly #stringLessons: Lessons;
  readonly #checksumLessons: Lessons;
  /** By the old index of a symbol table: the sections that its symbols stand for. */
  readonly #sectionsOf = new Map<number, Uint16Array>();

  constructor(old: Relocatable, plan: RelocatablePlan, nextSize: number, memory: RelocatableMemory) {
    this.#memory = memory;
    this.#typeLessons = new Lessons(memory.types);
    this.#stringLessons = new Lessons(memory.strings);
    this.#checksumLessons = new Lessons(memory.checksums);
    this.#old = old;
    this.#plan = plan;
    this.#bytes = new Uint8Array(nextSize);
    this.#view = new DataView(this.#bytes.buffer);
    this.#classes = newByteClasses(nextSize);
    this.#places = old.sections.map(() => undefined);
    this.#indexes = new Uint16Array(old.sections.length);
    for (const [index, section] of plan.sections.entries()) {
      if (section === undefined || section.from === 0) continue;
      if (section.script !== undefined) this.#places[section.from] = new PlaceMap(section.script);
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
      this.#markSection(section, planned);
      if (section.role === 'symbols') this.#moveSymbols(section, planned);
      else if (section.role === 'relocations') this.#moveRelocations(section, planned);
      else if (isChecksums(section)) this.#moveChecksums(section, planned);
    }
    writeHeaders(this.#view, this.#old, this.#plan, this.#places, this.#indexes);
    this.#copyTrailer();
    return {
      bytes: this.#bytes,
      classes: this.#classes,
      learn: (next) => {
        const view = new DataView(next.buffer, next.byteOffset, next.byteLength);
        for (const lessons of [this.#typeLessons, this.#stringLessons, this.#checksumLessons]) lessons.learn(view);
      },
    };
  }

  #markSection(section: RelocatableSection, { offset, size }: PlannedSection): void {
    const { role, name, type } = section;
    let kinds: readonly number[] = [];
    if (role === 'symbols') kinds = sixKinds(SYMBOL_KINDS);
    else if (role === 'relocations') kinds = sixKinds(RELOCATION_KINDS);
    else if (isChecksums(section)) kinds = [CHECKSUM_KIND];
    else if (name === '.orc_unwind') kinds = [UNWIND_KIND];
    else if (role === 'table') kinds = [TABLE_KIND];
    else if (type === SHT_STRTAB) kinds = [TEXT_KIND];
    if (kinds.length > 0) markRows(this.#classes, offset, offset + size, kinds);
  }

  /** Numbers of the kernel's BTF are looked up in what earlier files taught. */
  #rebuildBtf(old: Btf, script: BtfScript, { offset, size }: PlannedSection): void {
    const target = new DataView(this.#bytes.buffer, offset, size);
    markRows(this.#classes, offset, offset + size, [BTF_KIND]);
    rebuildBtf(old, script, this.#memory, target, (at, number, isName) => {
      (isName ? this.#stringLessons : this.#typeLessons).add(offset + at, number);
    });
  }

  /** Checksums of symbols: the same in all modules that use them, and in the one that exports them. */
  #moveChecksums({ rowBytes }: RelocatableSection, planned: PlannedSection): void {
    const { checksums } = this.#memory;
    for (let at = planned.offset; at + 4 <= planned.offset + planned.size; at += rowBytes) {
      const number = this.#view.getUint32(at, true);
      this.#checksumLessons.add(at, number);
      this.#view.setUint32(at, checksums.moved(number), true);
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

  /** What follows the section headers: a module's signature. */
  #copyTrailer(): void {
    const { elf } = this.#old;
    const { sections, sectionsAt } = this.#plan;
    const at = sectionsAt + sections.length * SECTION_HEADER_BYTES;
    this.#copy(elf.sectionsAt + elf.sectionCount * SECTION_HEADER_BYTES, elf.bytes.length, at);
    if (at >= this.#bytes.length) return;
    markRows(this.#classes, sectionsAt, at, [HEADER_KIND]);
    markRows(this.#classes, at, this.#bytes.length, [SIGNATURE_KIND]);
  }

  /** Copies classes, as far as there are some and there is room. */
  #copyClasses(classes: ByteClasses, from: number, wanted: number, target: number): void {
    const count = Math.min(wanted, 2 * classes.length - from, 2 * this.#classes.length - target);
    const copy = (step: number) => {
      const kind = (classes[(from + step) >>> 1]! >>> (((from + step) & 1) << 2)) & 15;
      this.#classes[(target + step) >>> 1]! |= kind << (((target + step) & 1) << 2);
    };
    // Whole bytes, of two classes each, where both places are alike.
    const first = from & 1;
    const pairs = ((from ^ target) & 1) === 0 ? (count - first) >> 1 : 0;
    if (pairs <= 0) {
      for (let step = 0; step < count; step++) copy(step);
      return;
    }
    if (first === 1) copy(0);
    const at = (from + first) >>> 1;
    this.#classes.set(classes.subarray(at, at + pairs), (target + first) >>> 1);
    if (first + 2 * pairs < count) copy(count - 1);
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

  /** Calls back with the offset of each row that comes where none went. */
  #visitNewRows({ script }: PlannedSection, rowBytes: number, visit: (at: number) => void): void {
    const { oldAt, newAt, lengths } = script!;
    let oldEnd = 0;
    let newEnd = 0;
    for (let run = 0; run < oldAt.length; run++) {
      const filled = Math.min(oldAt[run]! - oldEnd, newAt[run]! - newEnd);
      for (let at = newEnd + filled; at < newAt[run]!; at += rowBytes) visit(at);
      oldEnd = oldAt[run]! + lengths[run]!;
      newEnd = newAt[run]! + lengths[run]!;
    }
  }

  #moveSymbols(section: RelocatableSection, planned: PlannedSection): void {
    const names = this.#places[section.link];
    const maps = { machine: this.#old.elf.machine, places: this.#places, indexes: this.#indexes };
    for (let at = 0; at + SYMBOL_BYTES <= planned.size; at += SYMBOL_BYTES)
      moveSymbol(this.#view, planned.offset + at, names, maps);
    this.#visitNewRows(planned, SYMBOL_BYTES, (at) => {
      if (at >= SYMBOL_BYTES) followSymbol(this.#view, planned.offset + at);
    });
  }

  #sectionsOfSymbols(index: number): Uint16Array {
    let sections = this.#sectionsOf.get(index);
    if (sections === undefined) {
      const symbols = this.#old.sections[index];
      sections = symbols?.role === 'symbols' ? sectionSymbols(viewOf(this.#old.elf, symbols)) : new Uint16Array(0);
      this.#sectionsOf.set(index, sections);
    }
    return sections;
  }

  #moveRelocations(section: RelocatableSection, planned: PlannedSection): void {
    const maps: RelocationMaps = {
      machine: this.#old.elf.machine,
      places: this.#places,
      indexes: this.#indexes,
      symbols: this.#places[section.link],
      sectionOf: this.#sectionsOfSymbols(section.link),
    };
    const host = this.#places[section.info];
    for (let at = 0; at + RELA_BYTES <= planned.size; at += RELA_BYTES)
      moveRelocation(this.#view, planned.offset + at, host, maps);
    const pattern = patternOf(viewOf(this.#old.elf, section), this.#old.sections[section.info]);
    this.#visitNewRows(planned, RELA_BYTES, (at) => {
      const period = Math.max(pattern?.period ?? 1, 1) * RELA_BYTES;
      if (at < period) return;
      this.#bytes.copyWithin(
        planned.offset + at,
        planned.offset + at - period,
        planned.offset + at - period + RELA_BYTES,
      );
    });
    if (pattern !== undefined) writePattern(this.#view, planned, pattern);
  }
}
