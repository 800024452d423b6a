/**
 * Where the sections of an old ELF file are in the new one. Most of it follows from the coarse map and from how linkers lay sections out;
 * the description says where that guess is wrong.
 */
import type { ByteReader, ByteWriter } from '../../core/bytes.ts';
import { type CoarseMap, mapOffset } from '../align/coarse-map.ts';
import { damagedPart } from '../damage.ts';
import { type Elf, type ElfSection, SHF_ALLOC, SHT_NOBITS } from './elf.ts';

/** A section of the old file in the new one. `index` 0: it is gone, and the rest says where it would be. */
export interface SectionMove {
  readonly old: ElfSection;
  readonly index: number;
  readonly offset: number;
  readonly size: number;
  readonly address: number;
}

/** Numbers that say how one section differs from its guess: index, offset, size, address. */
const CORRECTIONS = 4;

function alignUp(value: number, alignment: number): number {
  return alignment > 1 && alignment <= 1 << 21 ? Math.ceil(value / alignment) * alignment : value;
}

/** Guesses each section from the ones before it, which are already corrected. */
class SectionGuesser {
  readonly #map: CoarseMap;
  #oldEnd = 0;
  #newEnd = 0;
  #index = 0;
  /** Of the last section with an address: new address minus old, and new offset minus old. */
  #addressShift = 0;
  #offsetShift = 0;

  constructor(map: CoarseMap) {
    this.#map = map;
  }

  guess(old: ElfSection): SectionMove {
    const { offset, size, alignment, type } = old;
    const packed = offset === alignUp(this.#oldEnd, alignment);
    const newOffset = packed ? alignUp(this.#newEnd, alignment) : this.#moved(offset);
    const grows = type !== SHT_NOBITS && size > 0;
    const newSize = grows ? Math.max(0, this.#moved(offset + size - 1) + 1 - this.#moved(offset)) : size;
    const shift = (old.flags & SHF_ALLOC) === 0 ? 0 : this.#addressShift + (newOffset - offset - this.#offsetShift);
    return { old, index: this.#index + 1, offset: newOffset, size: newSize, address: old.address + shift };
  }

  #moved(offset: number): number {
    return Math.max(0, mapOffset(this.#map, offset));
  }

  /** Takes what is true of the section guessed last. */
  settle({ old, index, offset, size, address }: SectionMove): void {
    const inFile = old.type !== SHT_NOBITS;
    this.#oldEnd = old.offset + (inFile ? old.size : 0);
    this.#newEnd = offset + (inFile ? size : 0);
    if (index > 0) this.#index = index;
    if ((old.flags & SHF_ALLOC) === 0) return;
    this.#addressShift = address - old.address;
    this.#offsetShift = offset - old.offset;
  }
}

function zigzag(value: number): number {
  return value < 0 ? -2 * value - 1 : 2 * value;
}

function unzigzag(value: number): number {
  return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
}

/** The section of the new file that an old one became: of its name, of the same order among those. */
function counterparts(old: Elf, next: Elf): (ElfSection | undefined)[] {
  const found = new Map<string, ElfSection[]>();
  for (const section of next.sections) {
    const known = found.get(section.name);
    if (known === undefined) found.set(section.name, [section]);
    else known.push(section);
  }
  return old.sections.map(({ name }) => found.get(name)?.shift());
}

/** Writes where the sections of `old` are in `next`; the encoder's side of {@link readSectionMoves}. */
export function writeSectionMoves(out: ByteWriter, old: Elf, next: Elf, map: CoarseMap): void {
  const guesser = new SectionGuesser(map);
  const corrections: number[] = [];
  const partners = counterparts(old, next);
  for (const [number, section] of old.sections.entries()) {
    const guess = guesser.guess(section);
    const found = partners[number];
    if (found === undefined || !Number.isSafeInteger(section.address) || !Number.isSafeInteger(found.address)) {
      corrections.push(zigzag(-guess.index), 0, 0, 0);
      guesser.settle({ ...guess, index: 0 });
      continue;
    }
    const { index, offset, size, address } = found;
    corrections.push(zigzag(index - guess.index), zigzag(offset - guess.offset), zigzag(size - guess.size));
    corrections.push(zigzag(address - guess.address));
    guesser.settle({ old: section, index, offset, size, address });
  }
  writeSparse(out, corrections);
}

/** Numbers, mostly zero: how many zeros, then one that is not, and so on; 0 zeros and 0 end it. */
function writeSparse(out: ByteWriter, numbers: readonly number[]): void {
  let zeros = 0;
  for (const number of numbers) {
    if (number === 0) {
      zeros++;
      continue;
    }
    out.varint(zeros);
    out.varint(number);
    zeros = 0;
  }
  out.varint(0);
  out.varint(0);
}

function readSparse(reader: ByteReader, count: number): Float64Array {
  const numbers = new Float64Array(count);
  for (let at = 0; ; at++) {
    const zeros = reader.varint('a number of sections as foretold');
    const value = reader.varint('where a section is');
    if (value === 0) return numbers;
    at += zeros;
    if (at >= count) throw damagedPart(DESCRIPTION)('there are fewer sections', reader.offset);
    numbers[at] = value;
  }
}

const DESCRIPTION = "projection's description";

/**
 * Where the sections of an old file are in the new one. Offsets, sizes and addresses are any safe integers: they are where the references
 * are moved to, and nothing is read from there.
 * @throws OsupdError `damaged-delta`
 */
export function readSectionMoves(reader: ByteReader, old: Elf, map: CoarseMap): SectionMove[] {
  const corrections = readSparse(reader, old.sections.length * CORRECTIONS);
  const guesser = new SectionGuesser(map);
  return old.sections.map((section, number) => {
    const guess = guesser.guess(section);
    const correction = (which: number) => unzigzag(corrections[number * CORRECTIONS + which]!);
    const move: SectionMove = {
      old: section,
      index: guess.index + correction(0),
      offset: guess.offset + correction(1),
      size: guess.size + correction(2),
      address: guess.address + correction(3),
    };
    guesser.settle(move);
    return move;
  });
}
