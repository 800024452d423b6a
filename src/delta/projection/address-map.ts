/** Where the addresses of an old linked file are in the new one. Addresses as in section-moves.ts. */
import type { SectionPieces } from './places.ts';
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

  /** The number of the piece that holds an address, for {@link kindOf} and {@link shiftOf}. */
  find(address: number): number {
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

  /** The kind of a piece. */
  kindOf(piece: number): number {
    return this.#kinds[piece]!;
  }

  /** How far a piece moves. */
  shiftOf(piece: number): number {
    return this.#shifts[piece]!;
  }

  /** OUTSIDE, DATA or CODE. */
  kind(address: number): number {
    return this.#kinds[this.find(address)]!;
  }

  /** How far an address moves: to be added modulo 2^32. */
  shift(address: number): number {
    return this.#shifts[this.find(address)]!;
  }

  /** As {@link shift}, fast for addresses that follow one another. */
  shiftHere(address: number): number {
    const starts = this.#starts;
    const last = this.#last;
    if (address < starts[last]! || (last + 1 < starts.length && address >= starts[last + 1]!)) {
      this.#last = this.find(address);
    }
    return this.#shifts[this.#last]!;
  }
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
 * Joins how sections move with how their insides do.
 * @param moves ordered by old address.
 * @param pieces of each section.
 */
export function addressMapOf(moves: readonly SectionMove[], pieces: readonly SectionPieces[]): AddressMap {
  const list = new PieceList();
  for (const [number, { old, oldAddress, address, size, executable }] of moves.entries()) {
    const kind = executable ? CODE : DATA;
    const shift = address - oldAddress;
    list.add(oldAddress, shift, kind);
    const { starts, shifts } = pieces[number]!;
    for (let piece = 0; piece < starts.length; piece++) {
      list.add(oldAddress + starts[piece]!, shift + shifts[piece]!, kind);
    }
    // What is said of a section's end goes to its new end.
    list.add(oldAddress + old.size, shift + size - old.size, OUTSIDE);
  }
  return new AddressMap(list.finish());
}
