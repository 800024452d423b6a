/**
 * Where the sections of an old linked file are in the new one. Addresses here count from the lowest one of the old file, modulo 2^32, so that
 * they are small integers for programs, libraries and kernels alike. Sections that are not loaded are given addresses behind all others.
 */
import type { ByteReader, ByteWriter } from '../../core/bytes.ts';
import { type Elf, type ElfSection, SHF_ALLOC, SHF_EXECINSTR, SHT_NOBITS } from './elf.ts';
import { readSparse, writeSparse } from './numbers.ts';

/** A section of the old file in the new one. */
export interface SectionMove {
  readonly old: ElfSection;
  /** Relative. */
  readonly oldAddress: number;
  /** Of the new file; 0 where the section is gone, and the rest says where it would be. */
  readonly index: number;
  readonly offset: number;
  readonly size: number;
  /** Relative to the base of the old file. */
  readonly address: number;
  readonly executable: boolean;
}

/** An old section with its address. */
export interface PlacedSection {
  readonly old: ElfSection;
  readonly oldAddress: number;
}

/** The sections of an old file, by address. */
export interface PlacedSections {
  /** What addresses are counted from. */
  readonly base: number;
  /** Ordered by address; none overlaps another. */
  readonly sections: readonly PlacedSection[];
}

const SHF_TLS = 0x400;

/** Beyond all addresses that processors have, and near enough that twice a difference is a safe integer. */
const ADDRESS_LIMIT = 2 ** 50;

function isLoaded(section: ElfSection): boolean {
  const { flags, size, type } = section;
  // Thread-local zeros share their addresses with what follows.
  const isShared = type === SHT_NOBITS && (flags & SHF_TLS) !== 0;
  return (flags & SHF_ALLOC) !== 0 && size > 0 && isWithinReach(section) && !isShared;
}

/** Written so that NaN fails. */
function isWithinReach({ address, offset, size }: ElfSection): boolean {
  return Math.abs(address) < ADDRESS_LIMIT && offset < ADDRESS_LIMIT && size < ADDRESS_LIMIT;
}

/** How sections move that stay where they are. */
export function unmoved({ sections }: PlacedSections): SectionMove[] {
  return sections.map(({ old, oldAddress }) => ({
    old,
    oldAddress,
    index: old.index,
    offset: old.offset,
    size: old.size,
    address: oldAddress,
    executable: (old.flags & SHF_EXECINSTR) !== 0,
  }));
}

/** What addresses of a file are counted from: a multiple of the page size, which some references count in. */
export function baseOf(elf: Elf): number {
  const lowest = elf.sections.reduce(
    (least, section) => (isLoaded(section) ? Math.min(least, section.address) : least),
    0,
  );
  return Math.floor(lowest / 4096) * 4096;
}

/** Gives each section its address. Those that overlap others, or are 4 GiB above the lowest, are left out: no linker makes them. */
export function placeSections(elf: Elf, base = baseOf(elf)): PlacedSections {
  const loaded = elf.sections.filter(isLoaded).sort((a, b) => a.address - b.address);
  const sections: PlacedSection[] = [];
  let end = 0;
  for (const old of loaded) {
    const oldAddress = old.address - base;
    if (oldAddress < end || oldAddress + old.size >= 2 ** 32) continue;
    sections.push({ old, oldAddress });
    end = oldAddress + old.size;
  }
  for (const old of elf.sections) {
    if (isLoaded(old) || !isWithinReach(old) || old.type === SHT_NOBITS || end + old.size >= 2 ** 32) continue;
    sections.push({ old, oldAddress: end });
    end += old.size;
  }
  return { base, sections };
}

function alignUp(value: number, alignment: number): number {
  return alignment > 1 && alignment <= 1 << 21 ? Math.ceil(value / alignment) * alignment : value;
}

/** Guesses each section from the ones before it, which are already corrected. */
class SectionGuesser {
  #oldEnd = 0;
  #newEnd = 0;
  #index = 0;
  #shift = 0;
  #addressShift = 0;

  /** @param growth by how much its content seems to grow. */
  guess({ old, oldAddress }: PlacedSection, growth: number): SectionMove {
    const { offset, size, alignment, type, flags } = old;
    const packed = offset === alignUp(this.#oldEnd, alignment);
    const newOffset = packed ? alignUp(this.#newEnd, alignment) : offset + this.#shift;
    const loaded = isLoaded(old);
    return {
      old,
      oldAddress,
      index: this.#index + 1,
      offset: newOffset,
      size: type === SHT_NOBITS ? size : Math.max(0, size + growth),
      address: loaded ? oldAddress + this.#addressShift + (newOffset - offset - this.#shift) : oldAddress,
      executable: (flags & SHF_EXECINSTR) !== 0,
    };
  }

  /** Takes what is true of the section guessed last. */
  settle({ old, oldAddress, index, offset, size, address }: SectionMove): void {
    const inFile = old.type !== SHT_NOBITS;
    this.#oldEnd = old.offset + (inFile ? old.size : 0);
    this.#newEnd = offset + (inFile ? size : 0);
    this.#shift = offset - old.offset;
    if (index > 0) this.#index = index;
    if (isLoaded(old)) this.#addressShift = address - oldAddress;
  }
}

/** The section of the new file that an old one became: of its name, of the same order among those. */
function counterparts(old: readonly PlacedSection[], next: Elf): (ElfSection | undefined)[] {
  const found = new Map<string, ElfSection[]>();
  for (const section of next.sections) {
    const known = found.get(section.name);
    if (known === undefined) found.set(section.name, [section]);
    else known.push(section);
  }
  return old.map(({ old: { name, type, flags } }) => {
    const section = found.get(name)?.shift();
    const alike = section !== undefined && section.type === type && (section.flags & SHF_ALLOC) === (flags & SHF_ALLOC);
    return alike && isWithinReach(section) ? section : undefined;
  });
}

/** Numbers that say how one section differs from its guess: index, offset, size, address. */
const CORRECTIONS = 4;

/** Guesses all sections, corrects each guess by `correct` and gives what came out. */
function settleAll(
  placed: PlacedSections,
  growths: readonly number[],
  correct: (guess: SectionMove, number: number) => SectionMove,
): SectionMove[] {
  const guesser = new SectionGuesser();
  return placed.sections.map((section, number) => {
    const move = correct(guesser.guess(section, growths[number]!), number);
    guesser.settle(move);
    return move;
  });
}

/** The moves from an old file to a new one, as the encoder sees them. */
export function findSectionMoves(placed: PlacedSections, next: Elf): SectionMove[] {
  const partners = counterparts(placed.sections, next);
  return settleAll(
    placed,
    placed.sections.map(() => 0),
    (guess, number) => {
      const found = partners[number];
      if (found === undefined) return { ...guess, index: 0 };
      const { index, offset, size, address } = found;
      return { ...guess, index, offset, size, address: isLoaded(guess.old) ? address - placed.base : guess.oldAddress };
    },
  );
}

/**
 * Writes where sections move, as {@link readSectionMoves} reads it.
 * @param growths for each section, by how much its content seems to grow.
 */
export function writeSectionMoves(
  out: ByteWriter,
  placed: PlacedSections,
  moves: readonly SectionMove[],
  growths: readonly number[],
): void {
  const corrections: number[] = [];
  settleAll(placed, growths, (guess, number) => {
    const move = moves[number]!;
    if (move.index === 0) {
      corrections.push(-guess.index, 0, 0, 0);
      return { ...guess, index: 0 };
    }
    corrections.push(move.index - guess.index, move.offset - guess.offset, move.size - guess.size);
    corrections.push(move.address - guess.address);
    return move;
  });
  writeSparse(out, corrections);
}

/**
 * Reads where the sections of an old file are in the new one. Offsets, sizes and addresses are any safe integers: they are what references
 * are moved to, and nothing is read from there.
 * @throws OsupdError `damaged-delta`
 */
export function readSectionMoves(
  reader: ByteReader,
  placed: PlacedSections,
  growths: readonly number[],
): SectionMove[] {
  const corrections = readSparse(reader, placed.sections.length * CORRECTIONS);
  return settleAll(placed, growths, (guess, number) => {
    const at = number * CORRECTIONS;
    return {
      ...guess,
      index: guess.index + corrections[at]!,
      offset: guess.offset + corrections[at + 1]!,
      size: guess.size + corrections[at + 2]!,
      address: guess.address + corrections[at + 3]!,
    };
  });
}
