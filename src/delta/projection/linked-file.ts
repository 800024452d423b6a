/** An old linked file while its references are rewritten, with the operations that all rules share. */

import { type AddressMap, CODE, OUTSIDE } from './address-map.ts';
import type { Anchors } from './anchors.ts';
import type { Elf } from './elf.ts';
import { SHF_ALLOC, SHT_NOBITS, signedWord } from './elf.ts';
import { type ByteClasses, newByteClasses } from './projection.ts';
import type { SectionMove } from './section-moves.ts';

/** What a byte is, for the coder of residuals. Instructions of x86-64 use all of these, other things some. */
export const OPCODE = 1;
export const MODRM = 2;
export const SIB = 3;
/** One-byte operands: displacements, immediates, short jumps. */
export const SHORT = 4;
/** Operands of 2 to 8 bytes that are no references: the first byte, and the others. */
export const OPERAND = 5;
/** References from code to code (calls, jumps): the first byte, the second, the others. */
export const BRANCH = 7;
/** References from code to data: likewise. */
export const ACCESS = 10;
/** References from data, in tables of any kind: likewise. */
export const POINTER = 13;

/** What is told of each reference, before it is moved: where it stands in the file and the address that it refers to. */
export interface Witness {
  /** A 64-bit address. */
  word(at: number, to: number): void;
  /** A 32-bit distance from an address. */
  distance(at: number, from: number, to: number): void;
  /** An AArch64 instruction that refers to an address. */
  instruction(at: number, address: number, to: number): void;
  /** An AArch64 instruction that adds the low bits to what an ADRP at `pageFrom` began. */
  pair(at: number, pageFrom: number, to: number): void;
  /** The 32-bit number of an entry of a table. */
  entry(at: number, entryBytes: number, to: number): void;
}

/** Code within a file. The address is relative. */
export interface CodeRange {
  readonly offset: number;
  readonly size: number;
  readonly address: number;
}

/** Addresses are relative to `base` and modulo 2^32, offsets are in the file. */
export class LinkedFile {
  readonly elf: Elf;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly map: AddressMap;
  readonly moves: readonly SectionMove[];
  readonly base: number;
  readonly classes: ByteClasses;
  /** Is told of references while they are moved. */
  readonly witness: Witness | undefined;
  /** Where distances stand as addresses; undefined where all are distances. */
  readonly anchors: Anchors | undefined;
  readonly #bySection: ReadonlyMap<number, SectionMove>;
  readonly #byName: ReadonlyMap<string, SectionMove>;
  /** Sections that are loaded and have bytes, by address. */
  readonly #contents: readonly SectionMove[];

  constructor(
    elf: Elf,
    moves: readonly SectionMove[],
    map: AddressMap,
    base: number,
    { witness, anchors }: { readonly witness?: Witness | undefined; readonly anchors?: Anchors } = {},
  ) {
    this.elf = elf;
    this.bytes = elf.bytes;
    this.view = elf.view;
    this.map = map;
    this.moves = moves;
    this.base = base;
    this.witness = witness;
    this.anchors = anchors;
    this.classes = newByteClasses(elf.bytes.length);
    this.#contents = moves.filter(({ old }) => (old.flags & SHF_ALLOC) !== 0 && old.type !== SHT_NOBITS);
    this.#byName = new Map(moves.toReversed().map((move) => [move.old.name, move]));
    this.#bySection = new Map(moves.map((move) => [move.old.index, move]));
  }

  /** A section by its number in the old file. */
  section(index: number): SectionMove | undefined {
    return this.#bySection.get(index);
  }

  /** The first section of a name. */
  named(name: string): SectionMove | undefined {
    return this.#byName.get(name);
  }

  /** The address of a byte of a section. */
  addressAt({ old, oldAddress }: SectionMove, offset: number): number {
    return (oldAddress + offset - old.offset) >>> 0;
  }

  /** Offset in the file of the eight bytes that have an address: -1 where there are none. */
  offsetOf(address: number): number {
    const moves = this.#contents;
    let low = 0;
    let high = moves.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (moves[middle]!.oldAddress <= address) low = middle + 1;
      else high = middle;
    }
    if (low === 0) return -1;
    const { old, oldAddress } = moves[low - 1]!;
    return address - oldAddress + 8 <= old.size ? old.offset + address - oldAddress : -1;
  }

  /** Marks an even number of bytes: the first one of a class, the second of the next one, all others of the third. */
  mark(at: number, count: number, kind: number): void {
    const { classes } = this;
    const others = (kind + 2) | ((kind + 2) << 4);
    let pair = at >>> 1;
    const last = (at + count) >>> 1;
    if ((at & 1) === 0) {
      classes[pair++] = kind | ((kind + 1) << 4);
      while (pair < last) classes[pair++] = others;
      return;
    }
    classes[pair] = (classes[pair]! & 15) | (kind << 4);
    classes[++pair] = (kind + 1) | ((kind + 2) << 4);
    while (++pair < last) classes[pair] = others;
    classes[last] = (classes[last]! & 0xf0) | (kind + 2);
  }

  /** Marks all bytes from an offset to another one of one class. */
  markAll(from: number, to: number, kind: number): void {
    if (from >= to) return;
    if ((from & 1) === 1) this.markByte(from, kind);
    if ((to & 1) === 1) this.markByte(to - 1, kind);
    this.classes.fill(kind | (kind << 4), (from + 1) >>> 1, to >>> 1);
  }

  markByte(at: number, kind: number): void {
    const shift = (at & 1) << 2;
    this.classes[at >>> 1] = (this.classes[at >>> 1]! & ~(15 << shift)) | (kind << shift);
  }

  classOf(at: number): number {
    return (this.classes[at >>> 1]! >>> ((at & 1) << 2)) & 15;
  }

  /** Rewrites the 32-bit number at an offset of an entry in a table of entries of `entryBytes`: 1 for a place in a table of strings. */
  moveEntry(at: number, table: SectionMove | undefined, entryBytes: number): void {
    const number = this.view.getUint32(at, true);
    this.mark(at, 4, POINTER);
    if (table === undefined || number * entryBytes >= table.old.size) return;
    const { oldAddress, address } = table;
    const to = oldAddress + number * entryBytes;
    this.witness?.entry(at, entryBytes, to);
    const shift = (this.map.shift(to) - (address - oldAddress)) | 0;
    if (shift % entryBytes === 0) this.view.setUint32(at, number + shift / entryBytes, true);
  }

  /** Rewrites the 64-bit address at an offset where it is one of the file. */
  moveWord(at: number): boolean {
    const address = signedWord(this.view, at) - this.base;
    if (!(address >= 0 && address < 2 ** 32) || this.map.kind(address) === OUTSIDE) return false;
    this.witness?.word(at, address);
    const moved = address + this.map.shift(address) + this.base;
    this.view.setUint32(at, moved, true);
    this.view.setInt32(at + 4, Math.floor(moved / 2 ** 32), true);
    this.mark(at, 8, POINTER);
    return true;
  }

  /**
   * Rewrites the 32-bit distance at an offset from one address to another. Both move: it is for places near each other.
   * @param from the address that it is counted from.
   */
  moveDistance(at: number, from: number, kind: number): void {
    const distance = this.view.getInt32(at, true);
    const to = (from + distance) >>> 0;
    this.mark(at, 4, kind);
    const piece = this.map.find(to);
    if (this.map.kindOf(piece) === OUTSIDE) return;
    this.witness?.distance(at, from, to);
    this.view.setInt32(at, distance + this.map.shiftOf(piece) - this.map.shiftHere(from), true);
  }

  /**
   * As moveDistance, for places that have nothing to do with each other.
   * @param ahead how far behind its own address it is counted from.
   */
  moveFarDistance(at: number, from: number, ahead: number, kind: number): void {
    if (this.anchors === undefined) {
      this.moveDistance(at, from, kind);
      return;
    }
    const to = (from + this.view.getInt32(at, true)) >>> 0;
    this.mark(at, 4, kind);
    const piece = this.map.find(to);
    if (this.map.kindOf(piece) === OUTSIDE) return;
    this.witness?.distance(at, from, to);
    this.view.setInt32(at, to + this.map.shiftOf(piece) - ahead, true);
    this.anchors.add(at);
  }

  isCode(address: number): boolean {
    return this.map.kind(address) === CODE;
  }
}
