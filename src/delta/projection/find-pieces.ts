/**
 * The encoder's search for how the insides of sections move. It foretells with what it knows, matches the result with the new file, looks
 * there where each reference really goes, and takes from all of them the pieces that foretell the most for their cost.
 */
import type { CoarseMap } from '../align/coarse-map.ts';
import { lowBits, referent } from './aarch64.ts';
import { type Elf, RELA_BYTES, SHT_NOBITS, SHT_RELA, signedWord } from './elf.ts';
import type { Witness } from './linked-file.ts';
import { CELL_BYTES, matchPlaces, UNMATCHED } from './match-places.ts';
import type { SectionPieces } from './places.ts';
import type { SectionMove } from './section-moves.ts';

/** What one more piece costs, in references that are foretold wrongly. */
const PIECE_COST = 1.5;

/** The instruction ADRP, for what it is like. */
const ADRP = 0x90000000 | 0;

/** Forms of references. */
const DISTANCE = 0;
const WORD = 1;
const ENTRY = 2;
const INSTRUCTION = 3;
const PAIR = 4;

/** Numbers by number, in arrays that grow. */
class Evidence implements Witness {
  at = new Uint32Array(1 << 12);
  /** Of a distance the address that it is counted from, of a table's entry its size. */
  from = new Uint32Array(1 << 12);
  to = new Uint32Array(1 << 12);
  form = new Uint8Array(1 << 12);
  count = 0;

  #add(at: number, from: number, to: number, form: number): void {
    if (this.count === this.at.length) {
      const size = 2 * this.count;
      this.at = grown(this.at, new Uint32Array(size));
      this.from = grown(this.from, new Uint32Array(size));
      this.to = grown(this.to, new Uint32Array(size));
      this.form = grown(this.form, new Uint8Array(size));
    }
    const number = this.count++;
    this.at[number] = at;
    this.from[number] = from;
    this.to[number] = to;
    this.form[number] = form;
  }

  word(at: number, to: number): void {
    this.#add(at, 0, to, WORD);
  }

  distance(at: number, from: number, to: number): void {
    this.#add(at, from, to, DISTANCE);
  }

  instruction(at: number, address: number, to: number): void {
    this.#add(at, address, to, INSTRUCTION);
  }

  pair(at: number, pageFrom: number, to: number): void {
    this.#add(at, pageFrom, to, PAIR);
  }

  entry(at: number, entryBytes: number, to: number): void {
    this.#add(at, entryBytes, to, ENTRY);
  }
}

function grown<Numbers extends Uint8Array | Uint32Array | Int32Array>(from: Numbers, to: Numbers): Numbers {
  to.set(from);
  return to;
}

/** Places of one section and how far each seems to move: one for each reference from it or to it. */
class Votes {
  places = new Uint32Array(1 << 8);
  shifts = new Int32Array(1 << 8);
  count = 0;

  add(place: number, shift: number): void {
    if (this.count === this.places.length) {
      this.places = grown(this.places, new Uint32Array(2 * this.count));
      this.shifts = grown(this.shifts, new Int32Array(2 * this.count));
    }
    this.places[this.count] = place;
    this.shifts[this.count++] = shift;
  }

  /** Order of the votes by place: radix sort, 11 bits at a time. */
  #order(): Uint32Array {
    let order = Uint32Array.from({ length: this.count }, (_, number) => number);
    for (let bit = 0; bit < 32; bit += 11) {
      const counts = new Uint32Array(2049);
      for (let number = 0; number < this.count; number++) counts[((this.places[number]! >>> bit) & 2047) + 1]!++;
      for (let digit = 0; digit < 2048; digit++) counts[digit + 1]! += counts[digit]!;
      const sorted = new Uint32Array(this.count);
      for (const number of order) sorted[counts[(this.places[number]! >>> bit) & 2047]!++] = number;
      order = sorted;
    }
    return order;
  }

  /**
   * The pieces that contradict the fewest votes, each piece counted as PIECE_COST of them (Viterbi's algorithm; states are shifts).
   */
  elect(): SectionPieces {
    const order = this.#order();
    // Costs are relative to that of contradicting all votes so far.
    const costs = new Map<number, number>([[0, 0]]);
    let best = 0;
    let bestShift = 0;
    const before = new Int32Array(this.count);
    const switches = new Uint8Array(this.count);
    for (const [turn, number] of order.entries()) {
      const shift = this.shifts[number]!;
      let cost = costs.get(shift) ?? Number.POSITIVE_INFINITY;
      if (best + PIECE_COST < cost) {
        cost = best + PIECE_COST;
        switches[turn] = 1;
        before[turn] = bestShift;
      }
      cost--;
      costs.set(shift, cost);
      if (cost < best) {
        best = cost;
        bestShift = shift;
      }
    }
    const starts: number[] = [];
    const shifts: number[] = [];
    let shift = bestShift;
    for (let turn = this.count - 1; turn >= 0; turn--) {
      const number = order[turn]!;
      if (switches[turn] === 0 || this.shifts[number] !== shift) continue;
      // Of pieces with one start the last counts.
      if (starts.at(-1) !== this.places[number]) {
        starts.push(this.places[number]!);
        shifts.push(shift);
      }
      shift = before[turn]!;
    }
    return { starts: Uint32Array.from(starts.reverse()), shifts: Int32Array.from(shifts.reverse()) };
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

/** What is known of a reference in the old file. */
interface OldReference {
  readonly form: number;
  /** As the witness got it: an address, or bytes of an entry. */
  readonly from: number;
  /** That address in the new file. */
  readonly newFrom: number;
  /** How far that address is before the reference. */
  readonly back: number;
  /** The old instruction. */
  readonly like: number;
  /** Where the table of entries is in the new file. */
  readonly entries: number;
}

/** What a place in the new file refers to: an address; undefined where it is no such reference. */
function newReferent({ form, from, newFrom, back, like, entries }: OldReference, next: Elf, base: number, at: number) {
  const { view } = next;
  switch (form) {
    case DISTANCE:
      return (newFrom + view.getInt32(at, true)) >>> 0;
    case WORD:
      return signedWord(view, at) - base;
    case ENTRY:
      return entries + view.getUint32(at, true) * from;
    case INSTRUCTION:
      return referent(view.getInt32(at, true), like, newFrom);
    default: {
      if (at < back) return undefined;
      const low = lowBits(view.getInt32(at, true));
      const page = referent(view.getInt32(at - back, true), ADRP, newFrom);
      return low < 0 || page === undefined ? undefined : (page + low) >>> 0;
    }
  }
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
  const evidence = new Evidence();
  const foretold = project(evidence);
  const matches = moves.map(({ old, index, offset, size }) => {
    if (index === 0 || old.type === SHT_NOBITS) return new Int32Array(0);
    const before = foretold.subarray(old.offset, old.offset + old.size);
    const after = comparable.subarray(offset, Math.min(offset + size, next.bytes.length));
    return old.type === SHT_RELA ? matchRelocations(before, after) : matchPlaces(before, after);
  });
  const oldView = new DataView(foretold.buffer, foretold.byteOffset, foretold.length);
  const votes = moves.map(() => new Votes());
  const byOffset = moves
    .map((_, number) => number)
    .filter((number) => matches[number]!.length > 0)
    .sort((a, b) => moves[a]!.old.offset - moves[b]!.old.offset);
  let source = 0;
  for (let number = 0; number < evidence.count; number++) {
    const at = evidence.at[number]!;
    // References come mostly in the order of the file.
    let move = moves[byOffset[source] ?? 0];
    if (move === undefined || at < move.old.offset || at >= move.old.offset + move.old.size) {
      source = byOffset.findIndex((candidate) => {
        const { old } = moves[candidate]!;
        return at >= old.offset && at < old.offset + old.size;
      });
      if (source < 0) {
        source = 0;
        continue;
      }
      move = moves[byOffset[source]!]!;
    }
    const sourceSection = byOffset[source]!;
    const place = at - move.old.offset;
    const shift = matches[sourceSection]![place >>> 3] ?? UNMATCHED;
    if (shift === UNMATCHED) continue;
    const newAt = move.offset + place + shift;
    if (newAt < move.offset || newAt + 8 > next.bytes.length) continue;
    // Linkage tables are alike entry by entry, wherever one was inserted: calls and relocations know better where their entries went.
    if (move.old.name.startsWith('.plt')) continue;
    const form = evidence.form[number]!;
    if (form === DISTANCE && foretold[at - 1] !== comparable[newAt - 1]) continue;
    const oldTo = evidence.to[number]!;
    const target = sectionAt(moves, oldTo);
    if (target < 0) continue;
    const { oldAddress, address, size, index } = moves[target]!;
    const from = evidence.from[number]!;
    const shiftOfSource = move.address - move.oldAddress + shift;
    const to = newReferent(
      {
        form,
        from,
        newFrom: (from + shiftOfSource) >>> 0,
        back: move.oldAddress + place - from,
        like: oldView.getInt32(at, true),
        entries: address,
      },
      next,
      base,
      newAt,
    );
    if (to === undefined) continue;
    const newPlace = to - address;
    if (index === 0 || !(newPlace >= 0 && newPlace < size)) continue;
    votes[target]!.add(oldTo - oldAddress, newPlace - (oldTo - oldAddress));
    if (form === DISTANCE || form === INSTRUCTION || move.old.type === SHT_RELA)
      votes[sourceSection]!.add(place, shift);
  }
  return votes.map((section) => section.elect());
}
