/**
 * The encoder's search for how the insides of sections move. It foretells with what it knows, matches the result with the new file, looks
 * there where each reference really goes, and takes from all of them the pieces that foretell the most for their cost.
 */
import type { CoarseMap } from '../align/coarse-map.ts';
import { type Elf, RELA_BYTES, SHT_NOBITS, SHT_RELA } from './elf.ts';
import type { Witness } from './linked-file.ts';
import { CELL_BYTES, matchPlaces, UNMATCHED } from './match-places.ts';
import { PieceVotes } from './piece-votes.ts';
import type { SectionPieces } from './places.ts';
import { DISTANCE, newReferent, ReferenceEvidence } from './reference-evidence.ts';
import type { SectionMove } from './section-moves.ts';

/** How sections move as a coarse map says: where the search begins. */
export function piecesOfMap(moves: readonly SectionMove[], map: CoarseMap): SectionPieces[] {
  const { oldAt, newAt, lengths } = map;
  return moves.map(({ old, offset, size, index }) => {
    const starts: number[] = [];
    const shifts: number[] = [];
    if (old.type !== SHT_NOBITS && index !== 0) {
      for (let range = 0; range < oldAt.length; range++) {
        const from = Math.max(oldAt[range]!, old.offset);
        if (from >= Math.min(old.offset + old.size, oldAt[range]! + lengths[range]!)) continue;
        const placeInNew = newAt[range]! + (from - oldAt[range]!) - offset;
        if (placeInNew < 0 || placeInNew > size) continue;
        starts.push(from - old.offset);
        shifts.push(placeInNew - (from - old.offset));
      }
    }
    return { starts: Uint32Array.from(starts), shifts: Int32Array.from(shifts) };
  });
}

/** Of each relocation what it refers to, eight bytes: the addend and the symbol. */
function referents(relocations: Uint8Array): Uint8Array {
  const from = new DataView(relocations.buffer, relocations.byteOffset, relocations.length);
  const count = Math.floor(relocations.length / RELA_BYTES);
  const to = new DataView(new ArrayBuffer(count * CELL_BYTES));
  for (let number = 0; number < count; number++) {
    to.setUint32(number * CELL_BYTES, from.getUint32(number * RELA_BYTES + 16, true), true);
    to.setUint32(number * CELL_BYTES + 4, from.getUint32(number * RELA_BYTES + 12, true), true);
  }
  return new Uint8Array(to.buffer);
}

/** As matchPlaces. Relocations stand in the order of the places that they are for, and are matched by what they refer to. */
function matchRelocations(old: Uint8Array, next: Uint8Array): Int32Array {
  const shifts = matchPlaces(referents(old), referents(next));
  const CELLS = RELA_BYTES / CELL_BYTES;
  return Int32Array.from({ length: shifts.length * CELLS }, (_, cell) => {
    const shift = shifts[Math.floor(cell / CELLS)]!;
    return shift === UNMATCHED ? UNMATCHED : shift * CELLS;
  });
}

/** The matched sections of a file, by their old offset. */
class MatchedSections {
  readonly #sections: readonly { readonly number: number; readonly start: number; readonly end: number }[];
  #last = 0;

  constructor(moves: readonly SectionMove[], matches: readonly Int32Array[]) {
    this.#sections = moves
      .map(({ old }, number) => ({ number, start: old.offset, end: old.offset + old.size }))
      .filter(({ number }) => matches[number]!.length > 0);
  }

  /** The number of the section that holds an old offset, -1 for none. References come mostly in the order of the file. */
  at(offset: number): number {
    const holds = ({ start, end }: { start: number; end: number }) => offset >= start && offset < end;
    const last = this.#sections[this.#last];
    if (last !== undefined && holds(last)) return last.number;
    this.#last = this.#sections.findIndex(holds);
    return this.#sections[this.#last]?.number ?? -1;
  }
}

/** The number of the section that holds an address, -1 for none. */
function sectionAt(moves: readonly SectionMove[], address: number): number {
  let low = 0;
  let high = moves.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (moves[middle]!.oldAddress <= address) low = middle + 1;
    else high = middle;
  }
  return low > 0 && address - moves[low - 1]!.oldAddress < moves[low - 1]!.old.size ? low - 1 : -1;
}

/**
 * Looks where references really go.
 * @param comparable the new file with its distances as addresses.
 * @param project rewrites a copy of the old file with some pieces, telling a witness.
 */
export function findPieces(
  next: Elf,
  comparable: Uint8Array,
  moves: readonly SectionMove[],
  base: number,
  project: (witness: Witness) => Uint8Array,
): SectionPieces[] {
  const evidence = new ReferenceEvidence();
  const foretold = project(evidence);
  const matches = moves.map(({ old, index, offset, size }) => {
    if (index === 0 || old.type === SHT_NOBITS) return new Int32Array(0);
    const before = foretold.subarray(old.offset, old.offset + old.size);
    const after = comparable.subarray(offset, Math.min(offset + size, next.bytes.length));
    return old.type === SHT_RELA ? matchRelocations(before, after) : matchPlaces(before, after);
  });
  const oldView = new DataView(foretold.buffer, foretold.byteOffset, foretold.length);
  const votes = moves.map(() => new PieceVotes());
  const matched = new MatchedSections(moves, matches);
  for (let number = 0; number < evidence.count; number++) {
    const at = evidence.at[number]!;
    const source = matched.at(at);
    if (source < 0) continue;
    const move = moves[source]!;
    // Linkage tables are alike entry by entry, wherever one was inserted: calls and relocations know better where their entries went.
    if (move.old.name.startsWith('.plt')) continue;
    const place = at - move.old.offset;
    const shift = matches[source]![place >>> 3] ?? UNMATCHED;
    const newAt = move.offset + place + shift;
    if (shift === UNMATCHED || newAt < move.offset || newAt + 8 > next.bytes.length) continue;
    const form = evidence.form[number]!;
    if (form === DISTANCE && foretold[at - 1] !== comparable[newAt - 1]) continue;
    const oldTo = evidence.to[number]!;
    const target = sectionAt(moves, oldTo);
    if (target < 0) continue;
    const { oldAddress, address, size, index } = moves[target]!;
    const from = evidence.from[number]!;
    const to = newReferent(next, base, newAt, {
      form,
      from,
      newFrom: (from + move.address - move.oldAddress + shift) >>> 0,
      back: move.oldAddress + place - from,
      like: oldView.getInt32(at, true),
      entries: address,
    });
    const newPlace = (to ?? Number.NaN) - address;
    if (index === 0 || !(newPlace >= 0 && newPlace < size)) continue;
    votes[target]!.add(oldTo - oldAddress, newPlace - (oldTo - oldAddress));
    // Of these sections others say little.
    if (move.old.type === SHT_RELA || move.old.name === '.eh_frame') votes[source]!.add(place, shift);
  }
  return votes.map((section) => section.elect());
}
