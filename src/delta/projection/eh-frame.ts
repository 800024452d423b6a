/**
 * References in unwind tables: `.eh_frame` and `.eh_frame_hdr` (LSB 5.0 Core, chapter 10; DWARF 5, section 6.4). Only the encodings that
 * compilers use: distances of four signed bytes from the field itself (in the header: from the table).
 */
import { type LinkedFile, POINTER } from './linked-file.ts';
import type { SectionMove } from './section-moves.ts';

const DW_EH_PE_udata4 = 0x03;
const DW_EH_PE_sdata4 = 0x0b;
const DW_EH_PE_pcrel = 0x10;
const DW_EH_PE_datarel = 0x30;
/** Besides: the address holds the address. */
const DW_EH_PE_indirect = 0x80;

/** What the entries that refer to a CIE need of it. */
interface Cie {
  /** Whether they have augmentation data. */
  readonly augmented: boolean;
  readonly pointers: number;
  readonly handlers: number;
  /** Bytes of code for each step of an advance. */
  readonly step: number;
}

const ABSENT = 0xff;

/** Linkers leave a few for each way of compiling; a hostile section could hold millions, each with an object in memory. */
const MAX_CIES = 1 << 16;

/** Passes over a LEB128 number. */
function skipNumber(bytes: Uint8Array, at: number, end: number): number {
  let next = at;
  while (next < end && (bytes[next]! & 0x80) !== 0) next++;
  return next + 1;
}

function isDistance(encoding: number): boolean {
  return (encoding & ~DW_EH_PE_indirect) === (DW_EH_PE_pcrel | DW_EH_PE_sdata4);
}

function encodedBytes(encoding: number): number {
  switch (encoding & 7) {
    case 2:
      return 2;
    case 3:
      return 4;
    default:
      return 8;
  }
}

/** Reads a CIE and rewrites the address of its personality routine. undefined for a version or augmentation that is not known. */
function moveCie(file: LinkedFile, section: SectionMove, at: number, end: number): Cie | undefined {
  const { bytes } = file;
  if (at + 3 > end || bytes[at] !== 1) return undefined;
  const augmentation = at + 1;
  let next = augmentation;
  while (next < end && bytes[next] !== 0) next++;
  next++;
  const step = next < end && bytes[next]! < 0x80 ? bytes[next]! : 1;
  next = skipNumber(bytes, next, end);
  next = skipNumber(bytes, next, end);
  next = skipNumber(bytes, next, end);
  let pointers = 0;
  let handlers = ABSENT;
  if (bytes[augmentation] !== 0x7a)
    return bytes[augmentation] === 0 ? { augmented: false, pointers, handlers, step } : undefined;
  next = skipNumber(bytes, next, end);
  for (let letter = augmentation + 1; letter < end && next < end; letter++) {
    switch (bytes[letter]) {
      case 0x52: // R
        pointers = bytes[next++]!;
        break;
      case 0x4c: // L
        handlers = bytes[next++]!;
        break;
      case 0x50: {
        // P
        const encoding = bytes[next++]!;
        if (isDistance(encoding) && next + 4 <= end) {
          file.moveFarDistance(next, file.addressAt(section, next), 0, POINTER);
        }
        next += encodedBytes(encoding);
        break;
      }
      case 0x53: // S
      case 0x42: // B
        break;
      default:
        return { augmented: true, pointers, handlers, step };
    }
  }
  return { augmented: true, pointers, handlers, step };
}

/** Rewrites the `.eh_frame` of a file. Its entries say where functions begin. */
export class EhFrame {
  readonly #file: LinkedFile;
  readonly #section: SectionMove;
  readonly #cies = new Map<number, Cie | undefined>();
  #functions = new Uint32Array(1024);
  #count = 0;

  constructor(file: LinkedFile, section: SectionMove) {
    this.#file = file;
    this.#section = section;
  }

  /**
   * Rewrites it all.
   * @returns the addresses where functions begin, ascending.
   */
  move(): Uint32Array {
    const { view } = this.#file;
    const { offset, size } = this.#section.old;
    const end = offset + size;
    let at = offset;
    while (at + 8 <= end) {
      const length = view.getUint32(at, true);
      const next = at + 4 + length;
      if (length < 4 || next > end) break;
      const back = view.getUint32(at + 4, true);
      if (back !== 0) this.#moveFde(at, back, next);
      else if (this.#cies.size === MAX_CIES) break;
      else this.#cies.set(at, moveCie(this.#file, this.#section, at + 8, next));
      at = next;
    }
    return this.#functions.slice(0, this.#count).sort();
  }

  #moveFde(at: number, back: number, end: number): void {
    const file = this.#file;
    const { view, map } = file;
    const cieAt = at + 4 - back;
    const cie = this.#cies.get(cieAt);
    if (cie === undefined) return;
    const here = file.addressAt(this.#section, at + 4);
    this.#moveBack(at + 4, here, back);
    if (!isDistance(cie.pointers) || at + 16 > end) return;
    const start = (here + 4 + view.getInt32(at + 8, true)) >>> 0;
    const length = view.getUint32(at + 12, true);
    this.#keep(start);
    file.moveFarDistance(at + 8, (here + 4) >>> 0, 0, POINTER);
    // The end is taken from the last byte: what follows may have moved elsewhere.
    const last = (start + Math.max(length, 1) - 1) >>> 0;
    view.setUint32(at + 12, length + map.shift(last) - map.shift(start), true);
    file.mark(at + 12, 4, POINTER);
    let next = at + 16;
    if (cie.augmented && next < end) {
      const augmentation = file.bytes[next]!;
      next++;
      if (isDistance(cie.handlers) && augmentation === 4 && next + 4 <= end && view.getInt32(next, true) !== 0) {
        file.moveFarDistance(next, file.addressAt(this.#section, next), 0, POINTER);
      }
      next += augmentation & 0x7f;
    }
    this.#moveAdvances(next, end, start, cie.step);
  }

  /** The distance back to a CIE. */
  #moveBack(at: number, here: number, back: number): void {
    const { view, map, anchors } = this.#file;
    const cie = (here - back) >>> 0;
    this.#file.mark(at, 4, POINTER);
    if (anchors === undefined) {
      view.setUint32(at, back + map.shiftHere(here) - map.shift(cie), true);
    } else {
      view.setInt32(at, -(cie + map.shift(cie)), true);
      anchors.addBackward(at);
    }
  }

  #keep(start: number): void {
    if (this.#count === this.#functions.length) {
      const larger = new Uint32Array(2 * this.#count);
      larger.set(this.#functions);
      this.#functions = larger;
    }
    this.#functions[this.#count++] = start;
  }

  /** Rewrites how far the code goes from one row of the unwind table to the next: where code was inserted it goes further. */
  #moveAdvances(from: number, end: number, start: number, step: number): void {
    const { bytes, view, map } = this.#file;
    let place = start;
    let at = from;
    while (at < end) {
      const operation = bytes[at]!;
      const size = operation >>> 6 === 1 ? 1 : operation === 2 ? 2 : operation === 3 ? 3 : operation === 4 ? 5 : 0;
      if (size === 0) {
        at = skipOperation(bytes, at, end);
        continue;
      }
      if (at + size > end) return;
      const advance =
        size === 1
          ? operation & 63
          : size === 2
            ? bytes[at + 1]!
            : size === 3
              ? view.getUint16(at + 1, true)
              : view.getUint32(at + 1, true);
      const next = (place + advance * step) >>> 0;
      const grown = (map.shift(next) - map.shift(place)) | 0;
      if (grown !== 0 && step > 0 && grown % step === 0) {
        const moved = advance + grown / step;
        if (size === 1 && moved > 0 && moved < 64) bytes[at] = 0x40 | moved;
        else if (size === 2 && moved > 0 && moved < 256) bytes[at + 1] = moved;
        else if (size === 3 && moved > 0 && moved < 65536) view.setUint16(at + 1, moved, true);
        else if (size === 5) view.setUint32(at + 1, moved, true);
      }
      place = next;
      at += size;
    }
  }
}

/** Passes over a call frame instruction that is no advance. */
function skipOperation(bytes: Uint8Array, at: number, end: number): number {
  const operation = bytes[at]!;
  if (operation >>> 6 === 2) return skipNumber(bytes, at + 1, end);
  if (operation >>> 6 === 3) return at + 1;
  switch (operation) {
    case 0x01: // set_loc
      return at + 9;
    case 0x05: // offset_extended
    case 0x09: // register
    case 0x0c: // def_cfa
    case 0x11: // offset_extended_sf
    case 0x12: // def_cfa_sf
    case 0x14: // val_offset
    case 0x15: // val_offset_sf
      return skipNumber(bytes, skipNumber(bytes, at + 1, end), end);
    case 0x06: // restore_extended
    case 0x07: // undefined
    case 0x08: // same_value
    case 0x0d: // def_cfa_register
    case 0x0e: // def_cfa_offset
    case 0x13: // def_cfa_offset_sf
    case 0x2e: // GNU_args_size
      return skipNumber(bytes, at + 1, end);
    case 0x0f: // def_cfa_expression
      return skipBlock(bytes, at + 1, end);
    case 0x10: // expression
    case 0x16: // val_expression
      return skipBlock(bytes, skipNumber(bytes, at + 1, end), end);
    default:
      return at + 1;
  }
}

/** Passes over a block with its length before it; those of 128 bytes and more end the entry. */
function skipBlock(bytes: Uint8Array, at: number, end: number): number {
  const length = at < end ? bytes[at]! : 0;
  return length < 0x80 ? at + 1 + length : end;
}

/** Rewrites an `.eh_frame_hdr`: where `.eh_frame` is, how many entries it has, and the sorted table of them. */
export function moveEhFrameHeader(file: LinkedFile, section: SectionMove): void {
  const { bytes, view, map } = file;
  const { offset, size } = section.old;
  const TABLE_AT = 12;
  if (size < TABLE_AT || bytes[offset] !== 1) return;
  if (bytes[offset + 1] !== (DW_EH_PE_pcrel | DW_EH_PE_sdata4) || bytes[offset + 2] !== DW_EH_PE_udata4) return;
  if (bytes[offset + 3] !== (DW_EH_PE_datarel | DW_EH_PE_sdata4)) return;
  const start = file.addressAt(section, offset);
  file.moveFarDistance(offset + 4, (start + 4) >>> 0, 0, POINTER);
  if (view.getUint32(offset + 8, true) === (size - TABLE_AT) >>> 3) {
    view.setUint32(offset + 8, (section.size - TABLE_AT) >>> 3, true);
  }
  const count = (size - TABLE_AT) >>> 3;
  const shift = map.shift(start);
  const moved = (at: number) => {
    const distance = view.getInt32(at, true);
    return (distance + map.shift((start + distance) >>> 0) - shift) | 0;
  };
  // Ordered by function, and functions change their order: 21 bits tell 2 million entries apart.
  const ORDER_BITS = 2 ** 21;
  const functions = new Float64Array(Math.min(count, ORDER_BITS));
  const entries = new Int32Array(functions.length);
  for (let number = 0; number < functions.length; number++) {
    const at = offset + TABLE_AT + number * 8;
    functions[number] = moved(at) * ORDER_BITS + number;
    entries[number] = moved(at + 4);
  }
  functions.sort();
  for (const [place, key] of functions.entries()) {
    const at = offset + TABLE_AT + place * 8;
    const moved = Math.floor(key / ORDER_BITS);
    view.setInt32(at, moved, true);
    view.setInt32(at + 4, entries[key - moved * ORDER_BITS]!, true);
    file.mark(at, 4, POINTER);
    file.mark(at + 4, 4, POINTER);
  }
}
