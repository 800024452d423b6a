/**
 * Distances that stand in a projected file as the addresses that they lead to. How far that is, is known when bytes are copied to their
 * place in the new file: so it need not be said where the code that refers to others moved to, only where what it refers to did.
 */
import { settledInstruction } from './aarch64.ts';
import type { SectionMove } from './section-moves.ts';

/** Where in a file such distances begin, four bytes each. */
export class Anchors {
  /** A bit for each byte. Two in a row: the distance is counted backwards. */
  readonly #starts: Uint8Array;

  /** @param size of the file. */
  constructor(size: number) {
    this.#starts = new Uint8Array((size >>> 3) + 2);
  }

  add(at: number): void {
    this.#starts[at >>> 3]! |= 1 << (at & 7);
  }

  addBackward(at: number): void {
    this.add(at);
    this.add(at + 1);
  }

  #has(at: number): boolean {
    return ((this.#starts[at >>> 3]! >>> (at & 7)) & 1) !== 0;
  }

  /** A second bit in a row is no beginning. That each place says this for itself makes pieces of a copy like the whole. */
  #begins(at: number): boolean {
    return this.#has(at) && (at === 0 || !this.#has(at - 1));
  }

  /** The first place at or behind `from` where one begins; `end` where there is none before it. */
  next(from: number, end: number): number {
    let at = from;
    while (at < end && !this.#begins(at)) at += this.#starts[at >>> 3] === 0 ? 8 - (at & 7) : 1;
    return Math.min(at, end);
  }

  isBackward(at: number): boolean {
    return this.#has(at + 1);
  }
}

/** Puts distances into bytes that are copied. */
export class Settler {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #anchors: Anchors;
  /** Sections by their place in the new file. */
  readonly #sections: readonly SectionMove[];
  readonly #isInstruction: (at: number) => boolean;
  #section: SectionMove | undefined;

  /**
   * @param bytes of the projected file.
   * @param isInstruction whether an AArch64 instruction begins at an offset.
   */
  constructor(
    bytes: Uint8Array,
    anchors: Anchors,
    moves: readonly SectionMove[],
    isInstruction: (at: number) => boolean,
  ) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#anchors = anchors;
    this.#sections = moves.toSorted((a, b) => a.offset - b.offset);
    this.#isInstruction = isInstruction;
  }

  /** The address of a byte of the new file, NaN where it has none. */
  #addressOf(newAt: number): number {
    if (this.#section === undefined || !holds(this.#section, newAt)) {
      const sections = this.#sections;
      let low = 0;
      let high = sections.length;
      while (low < high) {
        const middle = (low + high) >>> 1;
        if (sections[middle]!.offset <= newAt) low = middle + 1;
        else high = middle;
      }
      if (low === 0 || !holds(sections[low - 1]!, newAt)) return Number.NaN;
      this.#section = sections[low - 1]!;
    }
    return this.#section.address + newAt - this.#section.offset;
  }

  /**
   * Settles bytes that are copied, whole distances and parts of them alike.
   * @param copied from the projected file.
   * @param oldAt where from. @param newAt where to in the new file.
   */
  settle(copied: Uint8Array, oldAt: number, newAt: number): void {
    const end = oldAt + copied.length;
    const anchors = this.#anchors;
    for (let at = anchors.next(Math.max(0, oldAt - 3), end); at < end; at = anchors.next(at + 1, end)) {
      if (at + 4 > this.#bytes.length) return;
      const address = this.#addressOf(newAt + at - oldAt);
      if (Number.isNaN(address)) continue;
      const kept = this.#view.getInt32(at, true);
      const settled = anchors.isBackward(at)
        ? kept + address
        : this.#isInstruction(at)
          ? settledInstruction(kept, address)
          : kept - address;
      for (let byte = Math.max(at, oldAt); byte < at + 4 && byte < end; byte++) {
        copied[byte - oldAt] = settled >> ((byte - at) << 3);
      }
    }
  }
}

function holds({ offset, size }: SectionMove, newAt: number): boolean {
  return newAt >= offset && newAt < offset + size;
}
