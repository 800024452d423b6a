/**
 * References in x86-64 code: relative jumps and calls, RIP-relative operands, and in files at a fixed address absolute ones. A linear sweep
 * by instruction lengths (Intel SDM volume 2, chapter 2); where it loses step it finds it again after some bytes, and at the latest where a
 * function begins.
 */
import { CODE, OUTSIDE } from './address-map.ts';
import { ET_EXEC, RELA_BYTES } from './elf.ts';
import { ACCESS, BRANCH, type CodeRange, type LinkedFile, MODRM, OPCODE, OPERAND, SHORT, SIB } from './linked-file.ts';
import type { SectionMove } from './section-moves.ts';
import {
  BYTE,
  ENTER,
  ESCAPED_OPCODES,
  FAR,
  FULL,
  HAS_MODRM,
  IMMEDIATE,
  IS_INVALID,
  IS_PREFIX,
  NEAR,
  OPCODES,
  WIDE,
  WORD,
} from './x86-opcodes.ts';

/** No instruction is longer. */
const LONGEST = 15;

const PUSH = 0x68;

/** What an instruction's operand of four bytes may be. */
const NO_DISPLACEMENT = 0;
const PLAIN_DISPLACEMENT = 1;
const RIP_DISPLACEMENT = 2;

/** Bytes of an immediate, by its kind and the flags of the prefixes. */
const SHORT_OPERAND = 8;
const WIDE_OPERAND = 16;
const IMMEDIATE_BYTES = Uint8Array.from({ length: 32 }, (_, index) =>
  immediateBytes(index & IMMEDIATE, (index & SHORT_OPERAND) !== 0, (index & WIDE_OPERAND) !== 0),
);

/** Collects addresses. */
interface Addresses {
  add(address: number): void;
}

/** Sweeps the code of one file. */
export class X86Sweep {
  readonly #file: LinkedFile;
  /** Whether operands hold addresses: not in code that may be loaded anywhere. */
  readonly #absolute: boolean;
  readonly #taken: Addresses | undefined;

  /** @param taken is told each address that code takes (lea): where tables may begin. */
  constructor(file: LinkedFile, taken?: Addresses) {
    this.#file = file;
    this.#absolute = file.elf.type === ET_EXEC;
    this.#taken = taken;
  }

  /**
   * @param functions addresses where functions begin, ascending.
   * @param relocations of a procedure linkage table: its entries push the numbers of theirs.
   */
  sweep({ offset, size, address }: CodeRange, functions: Uint32Array, relocations?: SectionMove): void {
    const { bytes } = this.#file;
    const end = offset + size;
    this.#file.markAll(offset, end, OPCODE);
    const toAddress = address - offset;
    let at = offset;
    let next = 0;
    while (at < end) {
      while (next < functions.length && functions[next]! - toAddress <= at) next++;
      const limit = next < functions.length ? Math.min(functions[next]! - toAddress, end) : end;
      at = this.#instruction(bytes, at, limit, toAddress, relocations);
    }
  }

  /**
   * Decodes and rewrites one instruction, and marks its operands; all other bytes are marked already.
   * @returns where it ends. What is no instruction before `limit` is passed over.
   */
  #instruction(
    bytes: Uint8Array,
    start: number,
    limit: number,
    toAddress: number,
    relocations: SectionMove | undefined,
  ): number {
    let at = start;
    let operand = 0;
    let opcode = bytes[at++]!;
    while ((OPCODES[opcode]! & IS_PREFIX) !== 0) {
      if (opcode === 0x66) operand |= SHORT_OPERAND;
      operand = (operand & SHORT_OPERAND) | ((opcode & 0xf8) === 0x48 ? WIDE_OPERAND : 0);
      if (at >= limit || at - start >= LONGEST) return at;
      opcode = bytes[at++]!;
    }
    let form = OPCODES[opcode]!;
    if (opcode === 0x0f) {
      if (at >= limit) return at;
      opcode = bytes[at++]!;
      form = ESCAPED_OPCODES[opcode]!;
      if (opcode === 0x38 || opcode === 0x3a) {
        form = opcode === 0x38 ? HAS_MODRM : HAS_MODRM | BYTE;
        at++;
      }
      opcode |= 0x100;
    } else if (opcode === 0xc5 || opcode === 0xc4 || opcode === 0x62) {
      // VEX and EVEX: the prefix says which map the opcode is of.
      const map = opcode === 0xc5 ? 1 : at < limit ? bytes[at]! & 0x1f : 0;
      at += opcode === 0xc5 ? 1 : opcode === 0xc4 ? 2 : 3;
      if (at >= limit) return limit;
      const vectorOpcode = bytes[at++]!;
      form = HAS_MODRM;
      if (map === 3 || (map === 1 && (ESCAPED_OPCODES[vectorOpcode]! & IMMEDIATE) === BYTE)) form |= BYTE;
      else if (map === 1 && vectorOpcode === 0x77 && opcode !== 0x62) form = 0;
      opcode = 0x200;
    }
    if ((form & IS_INVALID) !== 0) return start + 1;

    const modrmAt = at;
    let displacementAt = at;
    let displacement = NO_DISPLACEMENT;
    let shortDisplacement = 0;
    let sib = 0;
    let immediate = form & IMMEDIATE;
    if ((form & HAS_MODRM) !== 0) {
      if (at >= limit) return limit;
      const modrm = bytes[at++]!;
      const mode = modrm >>> 6;
      let base = modrm & 7;
      if (mode !== 3) {
        if (base === 4) {
          if (at >= limit) return limit;
          base = bytes[at++]! & 7;
          sib = 1;
        }
        displacementAt = at;
        if (mode === 1) shortDisplacement = 1;
        else if (mode === 2) displacement = PLAIN_DISPLACEMENT;
        else if (base === 5) displacement = sib === 0 ? RIP_DISPLACEMENT : PLAIN_DISPLACEMENT;
        at += displacement === NO_DISPLACEMENT ? shortDisplacement : 4;
      }
      // test: the only ones of their group with an immediate.
      if ((opcode === 0xf6 || opcode === 0xf7) && (modrm & 0x30) === 0) immediate = opcode === 0xf6 ? BYTE : FULL;
      if (opcode === 0x8d && displacement === RIP_DISPLACEMENT && at <= limit)
        this.#taken?.add((toAddress + at + this.#file.view.getInt32(displacementAt, true)) >>> 0);
    }
    const immediateAt = at;
    // The addresses of A0 to A3 are always wide.
    if ((opcode & 0xfffc) === 0xa0) operand |= WIDE_OPERAND;
    at += IMMEDIATE_BYTES[immediate | operand]!;
    if (at > limit) return limit;

    if ((form & HAS_MODRM) !== 0) {
      this.#file.markByte(modrmAt, MODRM);
      if (sib !== 0) this.#file.markByte(modrmAt + 1, SIB);
      if (shortDisplacement !== 0) this.#file.markByte(displacementAt, SHORT);
      else if (displacement === RIP_DISPLACEMENT) {
        this.#file.moveFarDistance(displacementAt, (toAddress + at) >>> 0, at - displacementAt, ACCESS);
      } else if (displacement !== NO_DISPLACEMENT) this.#operand(displacementAt, 4);
    }
    if (immediate === FAR) this.#file.moveFarDistance(immediateAt, (toAddress + at) >>> 0, 4, BRANCH);
    else if (immediate === NEAR) this.#shortBranch(immediateAt, toAddress + at);
    else if (opcode === PUSH && at - immediateAt === 4 && relocations !== undefined)
      this.#file.moveEntry(immediateAt, relocations, RELA_BYTES);
    else if (at - immediateAt > 1) this.#operand(immediateAt, at - immediateAt);
    else if (at > immediateAt) this.#file.markByte(immediateAt, SHORT);
    return at;
  }

  #shortBranch(at: number, next: number): void {
    const { map, view } = this.#file;
    const distance = view.getInt8(at);
    const moved = distance + map.shift((next + distance) >>> 0) - map.shiftHere(next >>> 0);
    if (moved >= -128 && moved <= 127) view.setInt8(at, moved);
    this.#file.markByte(at, SHORT);
  }

  #operand(at: number, count: number): void {
    this.#file.markByte(at, OPERAND);
    for (let byte = 1; byte < count; byte++) this.#file.markByte(at + byte, OPERAND + 1);
    if (!this.#absolute || count !== 4) return;
    const { map, view, base } = this.#file;
    const value = view.getInt32(at, true);
    const address = value - base;
    if (address < 0 || map.kind(address) === OUTSIDE) return;
    view.setInt32(at, value + map.shift(address), true);
    this.#file.mark(at, 4, map.kind(address) === CODE ? BRANCH : ACCESS);
  }
}

function immediateBytes(immediate: number, isShort: boolean, isWide: boolean): number {
  switch (immediate) {
    case 0:
      return 0;
    case BYTE:
    case NEAR:
      return 1;
    case WORD:
      return 2;
    case FULL:
      return isShort ? 2 : 4;
    case WIDE:
      return isWide ? 8 : isShort ? 2 : 4;
    case ENTER:
      return 3;
    default:
      return 4;
  }
}
