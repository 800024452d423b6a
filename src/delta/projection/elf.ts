/**
 * Reader of ELF files: 64 bits, little-endian, as the System V ABI (gABI 4.1) lays them down. Made for files that nobody vouches for: it never
 * throws, what is odd is left out, and the sections that it gives lie within the file and do not overlap, so that loops over them are bounded
 * by the file's size.
 */
import type { ByteString } from '../../core/bytes.ts';
import { MAX_ELF_NAME_BYTES } from '../../core/limits.ts';

export const ET_REL = 1;
export const ET_EXEC = 2;
export const ET_DYN = 3;

export const EM_X86_64 = 62;
export const EM_AARCH64 = 183;

export const SHT_PROGBITS = 1;
export const SHT_SYMTAB = 2;
export const SHT_STRTAB = 3;
export const SHT_RELA = 4;
export const SHT_DYNAMIC = 6;
export const SHT_NOBITS = 8;
export const SHT_DYNSYM = 11;
export const SHT_RELR = 19;

export const SHF_WRITE = 1;
export const SHF_ALLOC = 2;
export const SHF_EXECINSTR = 4;

export const FILE_HEADER_BYTES = 64;
export const PROGRAM_HEADER_BYTES = 56;
export const SECTION_HEADER_BYTES = 64;
export const SYMBOL_BYTES = 24;
export const RELA_BYTES = 24;

/** A program header. Addresses as {@link ElfSection.address}. */
export interface ElfSegment {
  readonly type: number;
  readonly flags: number;
  readonly offset: number;
  readonly address: number;
  readonly fileSize: number;
  readonly memorySize: number;
}

/** A section header. Of a section that has bytes in the file, `offset` and `size` lie within the file. */
export interface ElfSection {
  /** Its number in the section header table, from 1. */
  readonly index: number;
  /** Empty where the name is not readable. */
  readonly name: ByteString;
  readonly type: number;
  /** The low 32 bits. */
  readonly flags: number;
  /** Taken as signed: those of a kernel, at the top of 64 bits, are small negative numbers. NaN above 53 bits. */
  readonly address: number;
  readonly offset: number;
  /** Bytes, in memory for SHT_NOBITS. */
  readonly size: number;
  readonly link: number;
  readonly info: number;
  readonly alignment: number;
  readonly entrySize: number;
}

export interface Elf {
  /** The whole file. */
  readonly bytes: Uint8Array;
  /** Over `bytes`. */
  readonly view: DataView;
  /** ET_REL, ET_EXEC, ET_DYN or another. */
  readonly type: number;
  /** EM_X86_64, EM_AARCH64 or another. */
  readonly machine: number;
  /** Where execution begins, as {@link ElfSection.address}. */
  readonly entry: number;
  /** Offset of the program header table, 0 without one. */
  readonly segmentsAt: number;
  /** Offset of the section header table, 0 without one. */
  readonly sectionsAt: number;
  /** Number of section headers, the empty first one and those left out too. */
  readonly sectionCount: number;
  readonly segments: readonly ElfSegment[];
  /** In the order of their headers; without the empty first one, sections of type 0 and those that do not lie within the file. */
  readonly sections: readonly ElfSection[];
}

/** A 64-bit number taken as signed; NaN above 53 bits. */
export function signedWord(view: DataView, at: number): number {
  const high = view.getInt32(at + 4, true);
  if (high >= 0x20_0000 || high < -0x20_0000) return Number.NaN;
  return high * 0x1_0000_0000 + view.getUint32(at, true);
}

/** A 64-bit number that is an offset or size in a file of `limit` bytes; NaN above it. */
function wordUpTo(view: DataView, at: number, limit: number): number {
  const value = signedWord(view, at);
  return value >= 0 && value <= limit ? value : Number.NaN;
}

function readName(names: Uint8Array, at: number): ByteString {
  if (at >= names.length) return '';
  const limit = Math.min(names.length, at + MAX_ELF_NAME_BYTES + 1);
  let end = at;
  while (end < limit && names[end] !== 0) end++;
  return end === limit ? '' : Buffer.from(names.buffer, names.byteOffset + at, end - at).toString('latin1');
}

function readSegments(view: DataView, at: number, count: number): ElfSegment[] {
  const segments: ElfSegment[] = [];
  for (let number = 0; number < count; number++) {
    const header = at + number * PROGRAM_HEADER_BYTES;
    segments.push({
      type: view.getUint32(header, true),
      flags: view.getUint32(header + 4, true),
      offset: signedWord(view, header + 8),
      address: signedWord(view, header + 16),
      fileSize: signedWord(view, header + 32),
      memorySize: signedWord(view, header + 40),
    });
  }
  return segments;
}

function readSections(bytes: Uint8Array, view: DataView, at: number, count: number, nameSection: number): ElfSection[] {
  let names: Uint8Array = new Uint8Array(0);
  if (nameSection > 0 && nameSection < count) {
    const header = at + nameSection * SECTION_HEADER_BYTES;
    const offset = wordUpTo(view, header + 24, bytes.length);
    const size = wordUpTo(view, header + 32, bytes.length);
    if (offset + size <= bytes.length) names = bytes.subarray(offset, offset + size);
  }
  const sections: ElfSection[] = [];
  for (let index = 1; index < count; index++) {
    const header = at + index * SECTION_HEADER_BYTES;
    const type = view.getUint32(header + 4, true);
    if (type === 0) continue;
    const inFile = type !== SHT_NOBITS;
    const offset = wordUpTo(view, header + 24, inFile ? bytes.length : Number.MAX_SAFE_INTEGER);
    const size = wordUpTo(view, header + 32, inFile ? bytes.length : Number.MAX_SAFE_INTEGER);
    if (Number.isNaN(offset) || Number.isNaN(size) || (inFile && offset + size > bytes.length)) continue;
    sections.push({
      index,
      name: readName(names, view.getUint32(header, true)),
      type,
      flags: view.getUint32(header + 8, true),
      address: signedWord(view, header + 16),
      offset,
      size,
      link: view.getUint32(header + 40, true),
      info: view.getUint32(header + 44, true),
      alignment: signedWord(view, header + 48),
      entrySize: signedWord(view, header + 56),
    });
  }
  return overlaps(sections) ? [] : sections;
}

/** Whether sections share bytes of the file: then the headers are not to be relied on. */
function overlaps(sections: readonly ElfSection[]): boolean {
  const inFile = sections
    .filter(({ type, size }) => type !== SHT_NOBITS && size > 0)
    .sort((a, b) => a.offset - b.offset);
  for (let number = 1; number < inFile.length; number++) {
    const { offset, size } = inFile[number - 1]!;
    if (offset + size > inFile[number]!.offset) return true;
  }
  return false;
}

/**
 * Reads the headers of an ELF file. Views, not copies: what is written to `bytes` shows.
 * @returns undefined for anything but a 64-bit little-endian ELF file with whole header tables; tables that it has not are empty.
 */
export function readElf(bytes: Uint8Array): Elf | undefined {
  if (bytes.length < FILE_HEADER_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const ELF64_LITTLE_ENDIAN = 0x01_01_02;
  if (view.getUint32(0, false) !== 0x7f_45_4c_46 || (view.getUint32(4, true) & 0xff_ff_ff) !== ELF64_LITTLE_ENDIAN) {
    return undefined;
  }
  const segmentsAt = wordUpTo(view, 32, bytes.length);
  const sectionsAt = wordUpTo(view, 40, bytes.length);
  const segmentCount = segmentsAt === 0 ? 0 : view.getUint16(56, true);
  const sectionCount = sectionsAt === 0 ? 0 : view.getUint16(60, true);
  if (segmentCount > 0 && view.getUint16(54, true) !== PROGRAM_HEADER_BYTES) return undefined;
  if (sectionCount > 0 && view.getUint16(58, true) !== SECTION_HEADER_BYTES) return undefined;
  // Written so that NaN fails too.
  if (!(segmentsAt + segmentCount * PROGRAM_HEADER_BYTES <= bytes.length)) return undefined;
  if (!(sectionsAt + sectionCount * SECTION_HEADER_BYTES <= bytes.length)) return undefined;
  return {
    bytes,
    view,
    type: view.getUint16(16, true),
    machine: view.getUint16(18, true),
    entry: signedWord(view, 24),
    segmentsAt,
    sectionsAt,
    sectionCount,
    segments: readSegments(view, segmentsAt, segmentCount),
    sections: readSections(bytes, view, sectionsAt, sectionCount, view.getUint16(62, true)),
  };
}
