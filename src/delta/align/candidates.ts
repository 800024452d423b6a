/**
 * Candidates for copies: stretches of a new file that are much like the old file at one distance. They may overlap; which of them are
 * taken is decided later, so they are extended generously over differences.
 */

/** A stretch goes on over differences while its score, equal bytes less two a difference, stays within the fall below its best. */
const DIFFERENCE_COST = 2;
const DEEPEST_FALL = 64;

/** Bytes that all extensions may look at, for each byte of the new file: in regular data everything is like everything. */
const MOST_WORK = 32;

export class Candidates {
  readonly #old: Uint8Array;
  readonly #next: Uint8Array;
  #starts = new Uint32Array(1 << 10);
  #ends = new Uint32Array(1 << 10);
  /** Old offset less new offset. */
  #distances = new Float64Array(1 << 10);
  #count = 0;
  #workLeft: number;
  /** Where the last stretch of each distance ends. */
  readonly #reach = new Map<number, number>();

  constructor(old: Uint8Array, next: Uint8Array) {
    this.#old = old;
    this.#next = next;
    this.#workLeft = MOST_WORK * next.length + 4096;
  }

  /** All by number, in the order of their starts. */
  inOrder(): { starts: Uint32Array; ends: Uint32Array; distances: Float64Array } {
    const order = orderOf(this.#starts.subarray(0, this.#count));
    return {
      starts: order.map((index) => this.#starts[index]!),
      ends: order.map((index) => this.#ends[index]!),
      distances: Float64Array.from(order, (index) => this.#distances[index]!),
    };
  }

  /**
   * Adds the stretch around equal bytes of the new file, from..to; where it is in one already, nothing. For each distance they rise.
   * @param most how many bytes it may go on, to either side.
   */
  add(from: number, to: number, distance: number, most: number): void {
    const reach = this.#reach.get(distance) ?? 0;
    if (to <= reach) return;
    const start = from < reach ? reach : this.#extendBack(from, distance, Math.max(reach, from - most));
    const end = this.#extendAhead(to, distance, to + most);
    this.#reach.set(distance, end);
    if (this.#count === this.#starts.length) {
      const size = 2 * this.#count;
      this.#starts = copied(this.#starts, new Uint32Array(size));
      this.#ends = copied(this.#ends, new Uint32Array(size));
      this.#distances = copied(this.#distances, new Float64Array(size));
    }
    this.#starts[this.#count] = start;
    this.#ends[this.#count] = end;
    this.#distances[this.#count++] = distance;
  }

  #extendAhead(at: number, distance: number, to: number): number {
    const old = this.#old;
    const next = this.#next;
    const last = Math.min(next.length, old.length - distance, to, at + this.#workLeft);
    let score = 0;
    let best = 0;
    let end = at;
    let offset = at;
    for (; offset < last && score >= best - DEEPEST_FALL; offset++) {
      if (old[offset + distance] !== next[offset]) score -= DIFFERENCE_COST;
      else if (++score > best) {
        best = score;
        end = offset + 1;
      }
    }
    this.#workLeft -= offset - at;
    return end;
  }

  #extendBack(at: number, distance: number, from: number): number {
    const old = this.#old;
    const next = this.#next;
    const first = Math.max(from, -distance, at - this.#workLeft);
    let score = 0;
    let best = 0;
    let start = at;
    let offset = at - 1;
    for (; offset >= first && score >= best - DEEPEST_FALL; offset--) {
      if (old[offset + distance] !== next[offset]) score -= DIFFERENCE_COST;
      else if (++score > best) {
        best = score;
        start = offset;
      }
    }
    this.#workLeft -= at - 1 - offset;
    return start;
  }
}

function copied<Numbers extends Uint32Array | Float64Array>(from: Numbers, to: Numbers): Numbers {
  to.set(from);
  return to;
}

/** The indexes of numbers in rising order (radix sort by halves). */
function orderOf(numbers: Uint32Array): Uint32Array {
  let order = Uint32Array.from(numbers.keys());
  for (const shift of [0, 16]) {
    const places = new Uint32Array((1 << 16) + 1);
    for (const number of numbers) places[((number >>> shift) & 0xffff) + 1]!++;
    for (let digit = 1; digit < places.length; digit++) places[digit]! += places[digit - 1]!;
    const sorted = new Uint32Array(order.length);
    for (const index of order) sorted[places[(numbers[index]! >>> shift) & 0xffff]!++] = index;
    order = sorted;
  }
  return order;
}
