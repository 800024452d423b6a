/**
 * References in AArch64 code (Arm ARM, C4.1): branches, literal loads, ADR, and ADRP with the instructions that add the low twelve bits.
 */
import { OUTSIDE } from './address-map.ts';
import { ACCESS, BRANCH, type CodeRange, type LinkedFile, OPCODE } from './linked-file.ts';

/** Forms of distances in an instruction. */
const NONE = 0;
const BRANCH_26 = 1;
const WORDS_19 = 2;
const WORDS_14 = 3;
const BYTES_21 = 4;
const PAGES_21 = 5;

const PAGE = 4096;

function formOf(word: number): number {
  if ((word & 0x7c000000) === 0x14000000) return BRANCH_26;
  // b.cond, cbz and cbnz, ldr (literal)
  if ((word & 0xff000000) >>> 0 === 0x54000000 || (word & 0x7e000000) === 0x34000000) return WORDS_19;
  if ((word & 0x3b000000) === 0x18000000) return WORDS_19;
  // tbz, tbnz
  if ((word & 0x7e000000) === 0x36000000) return WORDS_14;
  if ((word & 0x1f000000) === 0x10000000) return word < 0 ? PAGES_21 : BYTES_21;
  return NONE;
}

/** The distance in an instruction: bytes, of PAGES_21 pages. */
function distanceIn(word: number, form: number): number {
  switch (form) {
    case BRANCH_26:
      return (word << 6) >> 4;
    case WORDS_19:
      return ((word << 8) >> 13) << 2;
    case WORDS_14:
      return ((word << 13) >> 18) << 2;
    default:
      return (((word << 8) >> 13) << 2) | ((word >>> 29) & 3);
  }
}

/** An instruction with another distance, of which only the bits that there is room for are taken. */
function withBits(word: number, form: number, distance: number): number {
  const words = distance >> 2;
  switch (form) {
    case BRANCH_26:
      return (word & ~0x3ffffff) | (words & 0x3ffffff);
    case WORDS_19:
      return (word & ~0xffffe0) | ((words & 0x7ffff) << 5);
    case WORDS_14:
      return (word & ~0x7ffe0) | ((words & 0x3fff) << 5);
    default:
      return (word & ~0x60ffffe0) | ((words & 0x7ffff) << 5) | ((distance & 3) << 29);
  }
}

/** An instruction with another distance; itself where that does not fit. */
function withDistance(word: number, form: number, distance: number): number {
  const moved = withBits(word, form, distance);
  return distanceIn(moved, form) === distance ? moved : word;
}

/** An instruction that holds an address instead of a distance, at its own address. */
export function settledInstruction(word: number, address: number): number {
  const form = formOf(word);
  const own = form === PAGES_21 ? Math.floor(address / PAGE) : address;
  return form === NONE ? word : withBits(word, form, (distanceIn(word, form) - own) | 0);
}

/**
 * Where an instruction refers to.
 * @param address its own.
 * @returns undefined for one of another form than `like`.
 */
export function referent(word: number, like: number, address: number): number | undefined {
  const form = formOf(word);
  if (form === NONE || form !== formOf(like)) return undefined;
  return form === PAGES_21
    ? (address - (address % PAGE) + distanceIn(word, form) * PAGE) >>> 0
    : (address + distanceIn(word, form)) >>> 0;
}

/**
 * The low bits of an address that an instruction adds to its register: add, and loads and stores with an unsigned offset.
 * @returns -1 for another instruction.
 */
export function lowBits(word: number): number {
  const scale = lowBitsScale(word);
  return scale < 0 ? -1 : ((word >>> 10) & 0xfff) << scale;
}

/** log2 of the unit that an instruction counts the low bits in. */
function lowBitsScale(word: number): number {
  if ((word & 0xffc00000) >>> 0 === 0x91000000) return 0;
  if ((word & 0x3b000000) !== 0x39000000) return -1;
  // 128-bit registers have size 0 and the high bit of opc.
  const wide = (word & 0x04800000) === 0x04800000 && word >>> 30 === 0;
  return wide ? 4 : word >>> 30;
}

/** Whether an instruction writes the register in its low five bits: all but branches and stores, as far as it matters here. */
function writesRegister(word: number): boolean {
  if ((word & 0x1c000000) === 0x14000000) return false;
  return (word & 0x0a000000) !== 0x08000000 || (word & 0x00c00000) !== 0;
}

/** Sweeps the code of one file. */
export class Aarch64Sweep {
  readonly #file: LinkedFile;
  /** For each register the old page that ADRP put there, -1 for none, and where that instruction is. */
  readonly #pages = new Float64Array(32);
  readonly #setAt = new Uint32Array(32);
  /** Whether that instruction has met one that adds the low bits. */
  readonly #paired = new Uint8Array(32);

  constructor(file: LinkedFile) {
    this.#file = file;
  }

  /** @param functions addresses where functions begin, ascending. */
  sweep({ offset, size, address }: CodeRange, functions: Uint32Array): void {
    const { view } = this.#file;
    const toAddress = address - offset;
    const end = offset + size - 3;
    let next = 0;
    this.#pages.fill(-1);
    for (let at = Math.ceil(offset / 4) * 4; at < end; at += 4) {
      const here = (at + toAddress) >>> 0;
      if (next < functions.length && functions[next]! <= here) {
        while (next < functions.length && functions[next]! <= here) next++;
        this.#pages.fill(-1);
      }
      const word = view.getInt32(at, true);
      const form = formOf(word);
      if (form === PAGES_21) this.#page(at, here, word);
      else if (form === NONE) this.#plain(at, here, word);
      else {
        this.#branch(at, here, word, form);
        // A call leaves nothing in the registers that it may use.
        if (word >>> 26 === 0x25) this.#pages.fill(-1, 0, 18);
      }
    }
  }

  #branch(at: number, here: number, word: number, form: number): void {
    const { map, view, witness, anchors } = this.#file;
    const distance = distanceIn(word, form);
    const to = (here + distance) >>> 0;
    this.#file.mark(at, 4, BRANCH);
    if (map.kind(to) === OUTSIDE) return;
    const moved = (to + map.shift(to)) | 0;
    witness?.instruction(at, here, to);
    if (anchors !== undefined) {
      view.setInt32(at, withBits(word, form, moved), true);
      anchors.add(at);
    } else {
      view.setInt32(at, withDistance(word, form, (moved - here - map.shiftHere(here)) | 0), true);
    }
  }

  #page(at: number, here: number, word: number): void {
    const register = word & 31;
    const page = referent(word, word, here)!;
    this.#pages[register] = page;
    this.#setAt[register] = at;
    this.#paired[register] = 0;
    this.#setPage(at, here, (page + this.#file.map.shift(page)) >>> 0);
    this.#file.mark(at, 4, ACCESS);
  }

  #setPage(at: number, here: number, target: number): void {
    const { map, view, anchors } = this.#file;
    if (anchors !== undefined) {
      view.setInt32(at, withBits(view.getInt32(at, true), PAGES_21, Math.floor(target / PAGE)), true);
      anchors.add(at);
      return;
    }
    const newHere = (here + map.shiftHere(here)) >>> 0;
    const pages = Math.floor(target / PAGE) - Math.floor(newHere / PAGE);
    view.setInt32(at, withDistance(view.getInt32(at, true), PAGES_21, pages), true);
  }

  #plain(at: number, here: number, word: number): void {
    const register = (word >>> 5) & 31;
    const page = this.#pages[register]!;
    const low = page < 0 ? -1 : lowBits(word);
    if (low >= 0) {
      const { map, view, witness } = this.#file;
      const to = (page + low) >>> 0;
      const setAt = this.#setAt[register]!;
      const moved = (to + map.shift(to)) >>> 0;
      witness?.pair(at, here - (at - setAt), to);
      if (this.#paired[register] === 0) {
        this.#paired[register] = 1;
        this.#setPage(setAt, here - (at - setAt), moved);
      }
      const scale = lowBitsScale(word);
      const units = (moved % PAGE) / 2 ** scale;
      if (Number.isInteger(units)) view.setInt32(at, (word & ~0x3ffc00) | (units << 10), true);
      this.#file.mark(at, 4, ACCESS);
    } else {
      for (let byte = 0; byte < 4; byte++) this.#file.markByte(at + byte, OPCODE + byte);
    }
    if (writesRegister(word)) this.#pages[word & 31] = -1;
  }
}
