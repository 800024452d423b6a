/**
 * What the decoder must know of a new relocatable file: which section comes from which old one, where it lies, and how its rows are edited.
 * The description of the projection `relocatable`.
 */
import { ByteReader, ByteWriter } from '../../core/bytes.ts';
import { damagedDelta, damagedPart } from '../damage.ts';
import { type BtfScript, newBtfSize, readBtfScript, writeBtfScript } from './btf-script.ts';
import { type EditScript, isIdentity, newSize, readScript, scaled, writeScript } from './edit-script.ts';
import { FILE_HEADER_BYTES, SECTION_HEADER_BYTES, SHT_NOBITS } from './elf.ts';
import type { Relocatable, RelocatableSection } from './relocatable-sections.ts';

/** A new section. */
export interface PlannedSection {
  /** Index of the old section that it comes from, 0 for one that is new. */
  readonly from: number;
  readonly offset: number;
  readonly size: number;
  /** In bytes, for one that comes from an old section. */
  readonly script: EditScript | undefined;
  /** As it stands in the file, for one that is new. */
  readonly header: Uint8Array | undefined;
  /** Of a section of BTF, instead. */
  readonly btf: BtfScript | undefined;
}

export interface RelocatablePlan {
  /** By new index, from 1 (0 is the empty one). */
  readonly sections: readonly (PlannedSection | undefined)[];
  /** Where the section header table is. */
  readonly sectionsAt: number;
}

/** The new file has other sections than the old one. */
const OTHER_SECTIONS = 1;
/** Sections do not lie one behind another in their old order. */
const OTHER_OFFSETS = 2;

const MAX_SECTIONS = 0xff00;

function alignUp(value: number, alignment: number): number {
  return alignment > 1 && alignment <= 1 << 21 ? Math.ceil(value / alignment) * alignment : value;
}

/**
 * Where sections of these sizes lie when they are laid out as they were: in the order of the old file, each aligned.
 * @param from for each new section (by index) its old one; all are there, none twice
 */
function guessOffsets(
  old: Relocatable,
  from: readonly number[],
  sizes: readonly number[],
): { offsets: number[]; end: number } {
  const order = from.map((_, index) => index).slice(1);
  order.sort((a, b) => old.sections[from[a]!]!.offset - old.sections[from[b]!]!.offset || a - b);
  const offsets: number[] = [0];
  let end = FILE_HEADER_BYTES;
  for (const index of order) {
    const { alignment, type } = old.sections[from[index]!]!;
    offsets[index] = alignUp(end, alignment);
    if (type !== SHT_NOBITS) end = offsets[index] + sizes[index]!;
  }
  return { offsets, end: alignUp(end, 8) };
}

/** What an encoder says of a new section. */
export interface SectionEdit {
  readonly from: number;
  readonly offset: number;
  readonly size: number;
  /** In rows of the old section. */
  readonly script: EditScript | undefined;
  /** Of a section of BTF, instead. */
  readonly btf: BtfScript | undefined;
  readonly header: Uint8Array;
}

/** @param edits by new index; the first one is not looked at. */
export function writePlan(old: Relocatable, edits: readonly SectionEdit[], sectionsAt: number): Uint8Array {
  const writer = new ByteWriter();
  const from = edits.map((edit) => edit.from);
  const sameSections = edits.length === old.sections.length && from.every((index, number) => index === number);
  const guess = sameSections
    ? guessOffsets(
        old,
        from,
        edits.map((edit) => edit.size),
      )
    : undefined;
  const sameOffsets =
    guess !== undefined &&
    guess.end === sectionsAt &&
    edits.every((edit, index) => index === 0 || edit.offset === guess.offsets[index]);
  writer.varint((sameSections ? 0 : OTHER_SECTIONS) | (sameOffsets ? 0 : OTHER_OFFSETS));
  if (!sameSections) {
    writer.varint(edits.length);
    for (const edit of edits.slice(1)) {
      writer.varint(edit.from);
      if (edit.from === 0) writer.bytes(edit.header);
    }
  }
  if (!sameOffsets) {
    for (const edit of edits.slice(1)) writer.varint(edit.offset);
    writer.varint(sectionsAt);
  }
  let unchanged = 0;
  for (const { script, btf } of edits.slice(1)) {
    if (script === undefined && btf === undefined) continue;
    if (script !== undefined && isIdentity(script)) {
      unchanged++;
      continue;
    }
    writer.varint(unchanged);
    if (btf !== undefined) writeBtfScript(writer, btf);
    else writeScript(writer, script!);
    unchanged = 0;
  }
  return writer.finish();
}

/**
 * @param nextSize of the new file, which holds all its sections
 * @throws OsupdError `damaged-delta`
 */
export function readPlan(old: Relocatable, description: Uint8Array, nextSize: number): RelocatablePlan {
  const reader = new ByteReader(description, damagedPart('description of a projection'));
  const flags = reader.varint('form of the description');
  if (flags > 3 || flags === OTHER_SECTIONS) throw damagedDelta('a projection has an unknown form');
  const count = (flags & OTHER_SECTIONS) === 0 ? old.sections.length : reader.varint('number of sections');
  if (count > MAX_SECTIONS) throw damagedDelta('a projection has too many sections');
  const from: number[] = [0];
  const headers: (Uint8Array | undefined)[] = [undefined];
  for (let index = 1; index < count; index++) {
    if ((flags & OTHER_SECTIONS) === 0) from.push(index);
    else from.push(reader.varint('old section'));
    if (from[index]! >= old.sections.length) throw damagedDelta('a projection names a section that is not there');
    headers.push(from[index] === 0 ? reader.take(SECTION_HEADER_BYTES, 'section header') : undefined);
  }
  const offsets: number[] = [0];
  let sectionsAt = 0;
  if ((flags & OTHER_OFFSETS) !== 0) {
    for (let index = 1; index < count; index++) offsets.push(reader.varint('offset of a section'));
    sectionsAt = reader.varint('offset of the section headers');
  }
  const changes = readChanges(reader, old, from, nextSize);
  const sizes = changes.map((change, index) => (change === undefined ? sizeIn(headers[index]) : change.size));
  checkUse(old, from, sizes, nextSize);
  const guess = (flags & OTHER_OFFSETS) === 0 ? guessOffsets(old, from, sizes) : { offsets, end: sectionsAt };
  return {
    sections: from.map((index, number) =>
      number === 0
        ? undefined
        : {
            from: index,
            offset: guess.offsets[number]!,
            size: sizes[number]!,
            script: changes[number]?.script,
            btf: changes[number]?.btf,
            header: headers[number],
          },
    ),
    sectionsAt: guess.end,
  };
}

/** What bounds the work: no old section is used twice, and the new ones fit in the file. */
function checkUse(old: Relocatable, from: readonly number[], sizes: readonly number[], nextSize: number): void {
  const used = new Set<number>();
  let total = 0;
  for (const [index, oldIndex] of from.entries()) {
    if (oldIndex === 0) continue;
    if (used.has(oldIndex)) throw damagedDelta('a projection uses a section twice');
    used.add(oldIndex);
    if (old.sections[oldIndex]!.type !== SHT_NOBITS) total += sizes[index]!;
  }
  if (total > nextSize) throw damagedDelta('the sections of a projection are larger than the file');
}

function sizeIn(header: Uint8Array | undefined): number {
  return header === undefined ? 0 : new DataView(header.buffer, header.byteOffset).getUint32(32, true);
}

interface SectionChange {
  readonly size: number;
  readonly script: EditScript | undefined;
  readonly btf: BtfScript | undefined;
}

/** By new index; undefined for sections that are new. */
function readChanges(
  reader: ByteReader,
  old: Relocatable,
  from: readonly number[],
  nextSize: number,
): (SectionChange | undefined)[] {
  let unchanged = 0;
  const toNext = () => {
    unchanged = reader.remaining === 0 ? Number.POSITIVE_INFINITY : reader.varint('number of unchanged sections');
  };
  toNext();
  const changes = from.map((oldIndex, index): SectionChange | undefined => {
    const section = old.sections[oldIndex];
    if (index === 0 || section === undefined) return undefined;
    if (unchanged > 0) {
      unchanged--;
      return { size: section.size, script: identity(section.size), btf: undefined };
    }
    const change = readChange(reader, section, nextSize);
    toNext();
    return change;
  });
  if (reader.remaining > 0) throw damagedDelta('a projection has more changes than sections');
  return changes;
}

function readChange(reader: ByteReader, section: RelocatableSection, nextSize: number): SectionChange {
  if (section.btf !== undefined) {
    const btf = readBtfScript(reader, section.btf, nextSize);
    return { size: newBtfSize(section.btf, btf), script: undefined, btf };
  }
  const { size, rowBytes, type } = section;
  const limit = type === SHT_NOBITS ? 0xffff_ffff : Math.floor(nextSize / rowBytes);
  const script = scaled(readScript(reader, size / rowBytes, limit), rowBytes);
  return { size: newSize(script), script, btf: undefined };
}

function identity(size: number): EditScript {
  return { oldAt: Uint32Array.of(0, size), newAt: Uint32Array.of(0, size), lengths: Uint32Array.of(size, 0) };
}
