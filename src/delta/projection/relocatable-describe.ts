/** The encoder's side of the projection `relocatable`: compares the sections of two files. */

import type { ByteString } from '../../core/bytes.ts';
import { type BtfScript, compareBtf } from './btf-script.ts';
import { type EditScript, PlaceMap, scaled } from './edit-script.ts';
import { RELA_BYTES, SECTION_HEADER_BYTES, SHT_STRTAB, SYMBOL_BYTES } from './elf.ts';
import { blankedCode, placesOfFunctions } from './relocatable-code.ts';
import { type SectionEdit, writePlan } from './relocatable-plan.ts';
import {
  matchSections,
  PARALLEL_TABLES,
  type Relocatable,
  type RelocatableSection,
  viewOf,
} from './relocatable-sections.ts';
import { movedAddend, movedSymbol, type RelocationMaps, sectionSymbols } from './relocations.ts';
import { alignSequences, BYTE_WINDOWS, ROW_WINDOWS } from './sequence-alignment.ts';
import { slideGaps } from './slide-gaps.ts';

/** Runs of bytes below this between two shifts cost more than they save. */
const SHORTEST_RUN_BYTES = 8;

/** Where something of a section of data begins. */
const DATA_ALIGNMENT = 8;

/** Whether a section holds strings that end with a zero. */
function isText({ type, flags, name }: RelocatableSection): boolean {
  const SHF_STRINGS = 0x20;
  return type === SHT_STRTAB || (flags & SHF_STRINGS) !== 0 || name === '.modinfo';
}

/** The relocations of each section that has some, the first where it has several. */
function relocationsBySection({ sections }: Relocatable): Map<number, RelocatableSection> {
  const found = new Map<number, RelocatableSection>();
  for (const section of sections)
    if (section?.role === 'relocations' && !found.has(section.info)) found.set(section.info, section);
  return found;
}

class Describer {
  readonly #old: Relocatable;
  readonly #next: Relocatable;
  /** By new index. */
  readonly #from: readonly number[];
  readonly #scripts: (EditScript | undefined)[];
  /** By old index. */
  readonly #places: (PlaceMap | undefined)[];
  readonly #indexes: Uint16Array;
  readonly #btf: (BtfScript | undefined)[] = [];
  readonly #oldRelocations: ReadonlyMap<number, RelocatableSection>;
  readonly #newRelocations: ReadonlyMap<number, RelocatableSection>;
  /** By the name of an old section the new index of the first of them. */
  readonly #firstNamed = new Map<ByteString, number>();

  constructor(old: Relocatable, next: Relocatable) {
    this.#old = old;
    this.#next = next;
    this.#from = matchSections(old, next);
    this.#scripts = this.#from.map(() => undefined);
    this.#places = old.sections.map(() => undefined);
    this.#indexes = new Uint16Array(old.sections.length);
    this.#oldRelocations = relocationsBySection(old);
    this.#newRelocations = relocationsBySection(next);
    for (const [index, from] of this.#from.entries()) {
      if (from === 0) continue;
      this.#indexes[from] = index;
      const { name } = old.sections[from]!;
      if (!this.#firstNamed.has(name)) this.#firstNamed.set(name, index);
    }
  }

  #content(of: Relocatable, section: RelocatableSection): Uint8Array {
    return of.elf.bytes.subarray(section.offset, section.offset + section.size);
  }

  #set(index: number, script: EditScript): void {
    const from = this.#from[index]!;
    this.#scripts[index] = script;
    this.#places[from] = new PlaceMap(scaled(script, this.#old.sections[from]!.rowBytes));
  }

  /** @returns undefined where a new section is not of whole rows. */
  describe(): Uint8Array | undefined {
    const roles = this.#from.map((from) => (from === 0 ? undefined : this.#old.sections[from]!.role));
    const each = (role: string, align: (index: number, old: RelocatableSection, next: RelocatableSection) => void) => {
      for (const [index, from] of this.#from.entries())
        if (from !== 0 && roles[index] === role) align(index, this.#old.sections[from]!, this.#next.sections[index]!);
    };
    for (const [index, from] of this.#from.entries()) {
      if (from === 0) continue;
      const { role, rowBytes } = this.#old.sections[from]!;
      const next = this.#next.sections[index]!;
      if (next.size % rowBytes !== 0 || (role === 'btf' && next.btf === undefined)) return undefined;
    }
    const oldCode = blankedCode(this.#old);
    const newCode = blankedCode(this.#next);
    const starts = placesOfFunctions(this.#old);
    each('code', (index, old, next) =>
      this.#alignBytes(index, oldCode, newCode, old, next, (place) => starts.has(old.offset + place)),
    );
    each('bytes', (index, old, next) => {
      const { bytes } = this.#old.elf;
      const begins = isText(old)
        ? (place: number) => bytes[old.offset + place - 1] === 0
        : (place: number) => place % DATA_ALIGNMENT === 0;
      this.#alignBytes(index, bytes, this.#next.elf.bytes, old, next, begins);
    });
    each('btf', (index, old, next) => {
      this.#btf[index] = compareBtf(old.btf!, next.btf!);
    });
    each('empty', (index, old, next) => this.#set(index, sizesOnly(old.size, next.size)));
    each('symbols', (index, old, next) =>
      this.#set(
        index,
        alignSequences(this.#symbolKeys(this.#old, old), this.#symbolKeys(this.#next, next), ROW_WINDOWS),
      ),
    );
    each('table', (index, old, next) => this.#alignTable(index, old, next));
    each('relocations', (index, old, next) => this.#alignRelocations(index, old, next));
    const edits = this.#from.map((from, index): SectionEdit => {
      const section = this.#next.sections[index];
      const at = this.#next.elf.sectionsAt + index * SECTION_HEADER_BYTES;
      return {
        from,
        offset: section?.offset ?? 0,
        size: section?.size ?? 0,
        script: this.#scripts[index],
        btf: this.#btf[index],
        header: this.#next.elf.bytes.subarray(at, at + SECTION_HEADER_BYTES),
      };
    });
    return writePlan(this.#old, edits, this.#next.elf.sectionsAt);
  }

  #alignBytes(
    index: number,
    oldBytes: Uint8Array,
    newBytes: Uint8Array,
    old: RelocatableSection,
    next: RelocatableSection,
    begins: (place: number) => boolean,
  ): void {
    const a = oldBytes.subarray(old.offset, old.offset + old.size);
    const b = newBytes.subarray(next.offset, next.offset + next.size);
    this.#set(index, slideGaps(alignSequences(a, b, BYTE_WINDOWS, SHORTEST_RUN_BYTES), a, b, begins));
  }

  /** What a symbol is: its name, or the section that it stands for. */
  #symbolKeys(of: Relocatable, section: RelocatableSection): Uint32Array {
    const view = viewOf(of.elf, section);
    const names = of.sections[section.link];
    const text = names === undefined ? new Uint8Array(0) : this.#content(of, names);
    const keys = new Uint32Array(section.size / SYMBOL_BYTES);
    for (let row = 0; row < keys.length; row++) {
      const at = row * SYMBOL_BYTES;
      let hash = view.getUint8(at + 4) + 1;
      const name = view.getUint32(at, true);
      if (name === 0) {
        const index = view.getUint16(at + 6, true);
        hash = Math.imul(hash, 31) + (of === this.#old ? (this.#indexes[index] ?? index) : index);
      }
      for (let place = name; place < text.length && text[place] !== 0; place++)
        hash = Math.imul(hash, 0x01000193) ^ text[place]!;
      keys[row] = hash;
    }
    return keys;
  }

  #relocationMaps(old: RelocatableSection): RelocationMaps {
    const symbols = this.#old.sections[old.link];
    return {
      machine: this.#old.elf.machine,
      places: this.#places,
      indexes: this.#indexes,
      symbols: this.#places[old.link],
      sectionOf: symbols?.role === 'symbols' ? sectionSymbols(viewOf(this.#old.elf, symbols)) : new Uint16Array(0),
    };
  }

  #relocationsOf(of: Relocatable, index: number): RelocatableSection | undefined {
    return (of === this.#old ? this.#oldRelocations : this.#newRelocations).get(index);
  }

  /** Rows are told apart by what they are relocated to, or by their content where nothing is. */
  #alignTable(index: number, old: RelocatableSection, next: RelocatableSection): void {
    const leaderName = PARALLEL_TABLES.get(old.name);
    if (leaderName !== undefined) {
      const leader = this.#firstNamed.get(leaderName);
      if (leader !== undefined) {
        const oldLeader = this.#old.sections[this.#from[leader]!]!;
        const newLeader = this.#next.sections[leader]!;
        if (
          oldLeader.size / oldLeader.rowBytes === old.size / old.rowBytes &&
          newLeader.size / oldLeader.rowBytes === next.size / old.rowBytes
        ) {
          if (this.#scripts[leader] === undefined) this.#alignTable(leader, oldLeader, newLeader);
          this.#set(index, this.#scripts[leader]!);
          return;
        }
      }
    }
    if (this.#scripts[index] !== undefined) return;
    const oldKeys = this.#rowKeys(this.#old, old, old.rowBytes, true);
    const newKeys = this.#rowKeys(this.#next, next, old.rowBytes, false);
    this.#set(index, alignSequences(oldKeys, newKeys, ROW_WINDOWS));
  }

  #rowKeys(of: Relocatable, section: RelocatableSection, rowBytes: number, move: boolean): Uint32Array {
    const keys = new Uint32Array(section.size / rowBytes);
    const relocations = this.#relocationsOf(of, section.index);
    if (relocations === undefined) {
      const content = this.#content(of, section);
      const from = section.name === '__versions' ? 8 : 0;
      for (let row = 0; row < keys.length; row++) {
        let hash = 0;
        for (let place = from; place < rowBytes; place++)
          hash = Math.imul(hash, 0x01000193) ^ content[row * rowBytes + place]!;
        keys[row] = hash;
      }
      return keys;
    }
    const view = viewOf(of.elf, relocations);
    const maps = move ? this.#relocationMaps(relocations) : undefined;
    for (let at = 0; at < view.byteLength; at += RELA_BYTES) {
      const place = view.getUint32(at, true);
      const row = Math.floor(place / rowBytes);
      if (row >= keys.length) continue;
      const type = view.getUint32(at + 8, true);
      let symbol = view.getUint32(at + 12, true);
      let addend = view.getInt32(at + 16, true);
      if (maps !== undefined) {
        addend = movedAddend(addend, symbol, type, maps);
        symbol = movedSymbol(symbol, maps);
      }
      let hash = Math.imul(keys[row]! + (place % rowBytes), 0x9e37_79b1) ^ addend;
      hash = Math.imul(hash, 0x85eb_ca6b) ^ symbol;
      keys[row] = hash;
    }
    return keys;
  }

  #alignRelocations(index: number, old: RelocatableSection, next: RelocatableSection): void {
    const host = this.#places[old.info];
    const oldView = viewOf(this.#old.elf, old);
    const newView = viewOf(this.#next.elf, next);
    const oldKeys = new Uint32Array(old.size / RELA_BYTES);
    const newKeys = new Uint32Array(next.size / RELA_BYTES);
    for (let row = 0; row < oldKeys.length; row++) {
      const place = oldView.getUint32(row * RELA_BYTES, true);
      oldKeys[row] = host === undefined ? place : host.at(place);
    }
    for (let row = 0; row < newKeys.length; row++) newKeys[row] = newView.getUint32(row * RELA_BYTES, true);
    this.#set(index, alignSequences(oldKeys, newKeys, ROW_WINDOWS));
  }
}

/** A section without content: what it has more or less, it has at its end. */
function sizesOnly(oldSize: number, newSize: number): EditScript {
  const kept = Math.min(oldSize, newSize);
  return alignless(oldSize, newSize, kept);
}

function alignless(oldSize: number, newSize: number, kept: number): EditScript {
  return {
    oldAt: Uint32Array.of(0, oldSize),
    newAt: Uint32Array.of(0, newSize),
    lengths: Uint32Array.of(kept, 0),
  };
}

/** @returns undefined where the files are not of a kind that this projection rewrites. */
export function describeRelocatable(old: Relocatable, next: Relocatable): Uint8Array | undefined {
  if (old.elf.machine !== next.elf.machine) return undefined;
  return new Describer(old, next).describe();
}
