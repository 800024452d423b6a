/** How the inside of a section moves, voted for by references. */
import { grown } from './grown.ts';
import type { SectionPieces } from './places.ts';

/** What one more piece costs, in references that are foretold wrongly. */
const PIECE_COST = 1.5;

/** Places of one section and how far each seems to move: one for each reference from it or to it. */
export class PieceVotes {
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
