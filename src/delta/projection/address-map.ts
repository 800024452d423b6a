/**
 * Where the addresses of an old linked file are in a new one. Addresses here count from the lowest one of the old file, modulo 2^32, so
 * that they are small integers for programs, libraries and kernels alike.
 */
import type { CoarseMap } from '../align/coarse-map.ts';
import { SHF_ALLOC, SHF_EXECINSTR, SHT_NOBITS } from './elf.ts';
import type { SectionMove } from './section-moves.ts';

/** Kinds of old addresses. */
export const OUTSIDE = 0;
export const DATA = 1;
export const CODE = 2;

/** Each piece begins at one of `starts`, is of a kind, and is moved by one of `shifts` (modulo 2^32). */
interface AddressPieces {
  readonly starts: Uint32Array;
  readonly shifts: Int32Array;
  readonly kinds: Uint8Array;
}

/** Piecewise: each piece begins at `starts` and is moved by `shifts` (both modulo 2^32). */
export class AddressMap {
  readonly #starts: Uint32Array;
  readonly #shifts: Int32Array;
  readonly #kinds: Uint8Array;
  /** For each stretch of 2^scale addresses the piece that holds its first one. */
  readonly #firsts: Uint32Array;
  readonly #scale: number;

  /** The piece that was found last: where one looks next when going through a file. */
  #last = 0;

  /** @param pieces ordered by start, the first one at 0. */
  constructor(pieces: AddressPieces) {
    const { starts } = pieces;
    this.#starts = starts;
    this.#shifts = pieces.shifts;
    this.#kinds = pieces.kinds;
    const span = starts.length === 0 ? 0 : starts[starts.length - 1]!;
    let scale = 6;
    while (span >>> scale > 1 << 18 && span >>> scale > 4 * starts.length) scale++;
    this.#scale = scale;
    this.#firsts = new Uint32Array((span >>> scale) + 2);
    let piece = 0;
    for (let stretch = 0; stretch < this.#firsts.length; stretch++) {
      while (piece + 1 < starts.length && starts[piece + 1]! <= stretch * 2 ** scale) piece++;
      this.#firsts[stretch] = piece;
    }
  }

  /** The piece that holds an address. */
  #find(address: number): number {
    const firsts = this.#firsts;
    const stretch = address >>> this.#scale;
    const last = this.#starts.length - 1;
    if (stretch + 1 >= firsts.length) return last;
    const starts = this.#starts;
    let low = firsts[stretch]!;
    let high = firsts[stretch + 1]!;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (starts[middle]! <= address) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** OUTSIDE, DATA or CODE. */
  kind(address: number): number {
    return this.#kinds[this.#find(address)]!;
  }

  /** How far an address moves: to be added modulo 2^32. */
  shift(address: number): number {
    return this.#shifts[this.#find(address)]!;
  }

  /** As {@link shift}, fast for addresses that follow one another. */
  shiftHere(address: number): number {
    const starts = this.#starts;
    const last = this.#last;
    if (address < starts[last]! || (last + 1 < starts.length && address >= starts[last + 1]!)) {
      this.#last = this.#find(address);
    }
    return this.#shifts[this.#last]!;
  }
}

/** What the addresses of a file are counted from. */
export function baseAddress(moves: readonly SectionMove[]): number {
  const lowest = Math.min(...placed(moves).map(({ old }) => old.address), 0);
  return Number.isFinite(lowest) ? lowest : 0;
}

/** Sections with an address of their own; that of thread-local zeros is shared with what follows. */
function placed(moves: readonly SectionMove[]): SectionMove[] {
  const SHF_TLS = 0x400;
  return moves.filter(
    ({ old }) =>
      (old.flags & SHF_ALLOC) !== 0 &&
      old.size > 0 &&
      Number.isSafeInteger(old.address) &&
      (old.type !== SHT_NOBITS || (old.flags & SHF_TLS) === 0),
  );
}

/** Collects pieces in the order of their starts. */
class PieceList {
  readonly starts: number[] = [0];
  readonly shifts: number[] = [0];
  readonly kinds: number[] = [OUTSIDE];

  /** Of two pieces that begin at one place the later counts; one that goes on like the one before is not needed. */
  add(start: number, shift: number, kind: number): void {
    const last = this.starts.length - 1;
    if (this.starts[last] === start) {
      this.shifts[last] = shift;
      this.kinds[last] = kind;
    } else if (this.shifts[last] !== shift || this.kinds[last] !== kind) {
      this.starts.push(start);
      this.shifts.push(shift);
      this.kinds.push(kind);
    }
  }

  finish(): AddressPieces {
    return {
      starts: Uint32Array.from(this.starts),
      shifts: Int32Array.from(this.shifts),
      kinds: Uint8Array.from(this.kinds),
    };
  }
}

/**
 * Joins what is known of sections with what the coarse map says of their insides.
 * @param base as {@link baseAddress} gives it. Sections 4 GiB above it or overlapping others have no place.
 */
export function addressMapOf(moves: readonly SectionMove[], map: CoarseMap, base: number): AddressMap {
  const pieces = new PieceList();
  const sections = placed(moves).sort((a, b) => a.old.address - b.old.address);
  let end = 0;
  for (const move of sections) {
    const start = move.old.address - base;
    if (start < end || start + move.old.size >= 2 ** 32) continue;
    end = start + move.old.size;
    const kind = (move.old.flags & SHF_EXECINSTR) !== 0 ? CODE : DATA;
    pieces.add(start, move.address - move.old.address, kind);
    if (move.old.type !== SHT_NOBITS) addRanges(pieces, move, start, kind, map);
    pieces.add(end, move.address + move.size - base - end, OUTSIDE);
  }
  return new AddressMap(pieces.finish());
}

/** The matching ranges within a section. Between two the shift of the former holds. */
function addRanges(pieces: PieceList, move: SectionMove, start: number, kind: number, map: CoarseMap): void {
  const { oldAt, newAt, lengths } = map;
  const sectionEnd = move.old.offset + move.old.size;
  for (let range = firstRangeBehind(map, move.old.offset); range < oldAt.length; range++) {
    const rangeAt = oldAt[range]!;
    if (rangeAt >= sectionEnd) break;
    const from = Math.max(rangeAt, move.old.offset);
    if (from >= rangeAt + lengths[range]!) continue;
    const placeInNew = newAt[range]! + (from - rangeAt) - move.offset;
    if (placeInNew < 0 || placeInNew > move.size) continue;
    const placeInOld = from - move.old.offset;
    pieces.add(start + placeInOld, move.address + placeInNew - (move.old.address + placeInOld), kind);
  }
}

/** The first range that ends behind an offset. */
function firstRangeBehind({ oldAt, lengths }: CoarseMap, offset: number): number {
  let low = 0;
  let high = oldAt.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (oldAt[middle]! + lengths[middle]! > offset) high = middle;
    else low = middle + 1;
  }
  return low;
}
