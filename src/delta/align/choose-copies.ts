/**
 * Chooses among candidates what is copied, so that copies, differences and literals together cost the least: Viterbi's algorithm over the
 * new file, where a state is a candidate that is being copied, or a literal.
 */
import type { Candidates } from './candidates.ts';
import type { Copies } from './find-copies.ts';

/** Costs in bits, as the coders come to on average. */
const LITERAL_BITS = 5.5;
/** The first byte of a literal, above that: its length. */
const LITERAL_START_BITS = 4;
/** The lengths of a copy; where it is comes to that. */
const COPY_BITS = 13;
const SAME_DISTANCE_BITS = 2;
const SEEK_BITS = 5;
/** An equal byte, close behind a difference and far behind. */
const EQUAL_NEAR_BITS = 0.4;
const EQUAL_BITS = 0.02;
/** A difference close behind another and far behind. */
const DIFFERENCE_NEAR_BITS = 8.5;
const DIFFERENCE_BITS = 12;
/** How far is near. */
const NEAR = 8;

/** States at a time: of more candidates the worst are left out. */
const MOST_STATES = 16;
/** Equal bytes in which nothing else can become better. */
const LONG_RUN = 24;

/** A stretch of the chosen way, by number: what came before, where it begins, and the distance (or NONE for a literal). */
class Ways {
  #before = new Int32Array(1 << 10);
  #starts = new Uint32Array(1 << 10);
  #distances = new Float64Array(1 << 10);
  #count = 0;

  add(before: number, start: number, distance: number): number {
    if (this.#count === this.#before.length) {
      const size = 2 * this.#count;
      const before = new Int32Array(size);
      const starts = new Uint32Array(size);
      const distances = new Float64Array(size);
      before.set(this.#before);
      starts.set(this.#starts);
      distances.set(this.#distances);
      this.#before = before;
      this.#starts = starts;
      this.#distances = distances;
    }
    this.#before[this.#count] = before;
    this.#starts[this.#count] = start;
    this.#distances[this.#count] = distance;
    return this.#count++;
  }

  /** The copies of the way that ends with a stretch, which goes to `size`. */
  copies(last: number, size: number): Copies {
    const newAt: number[] = [];
    const oldAt: number[] = [];
    const lengths: number[] = [];
    let end = size;
    for (let way = last; way >= 0; way = this.#before[way]!) {
      const start = this.#starts[way]!;
      const distance = this.#distances[way]!;
      if (!Number.isNaN(distance) && end > start) {
        newAt.push(start);
        oldAt.push(start + distance);
        lengths.push(end - start);
      }
      end = start;
    }
    return {
      count: newAt.length,
      newAt: Uint32Array.from(newAt.reverse()),
      oldAt: Uint32Array.from(oldAt.reverse()),
      lengths: Uint32Array.from(lengths.reverse()),
    };
  }
}

function seekBits(from: number, to: number): number {
  const change = Math.abs(to - from);
  return change === 0 ? SAME_DISTANCE_BITS : SEEK_BITS + 32 - Math.clz32(change);
}

/** The cheapest copies, in order. */
export function chooseCopies(old: Uint8Array, next: Uint8Array, candidates: Candidates): Copies {
  const { starts, ends, distances } = candidates.inOrder();
  const ways = new Ways();
  // States, by number. A way is that of the stretch in a state, -1 until it is asked for.
  const distance = new Float64Array(MOST_STATES);
  const end = new Uint32Array(MOST_STATES);
  const cost = new Float64Array(MOST_STATES);
  const lastDifference = new Float64Array(MOST_STATES);
  const start = new Uint32Array(MOST_STATES);
  const before = new Int32Array(MOST_STATES);
  const way = new Int32Array(MOST_STATES);
  let states = 0;
  let literalCost = LITERAL_START_BITS;
  let literalStart = 0;
  let literalBefore = -1;
  let literalWay = -1;
  let literalDistance = 0;

  let candidate = 0;
  for (let at = 0; at < next.length; ) {
    // Candidates that end here are left; the way goes on from them.
    let best = -1;
    for (let state = 0; state < states; state++) if (best < 0 || cost[state]! < cost[best]!) best = state;
    if (best >= 0 && cost[best]! + LITERAL_START_BITS < literalCost) {
      if (way[best]! < 0) way[best] = ways.add(before[best]!, start[best]!, distance[best]!);
      literalCost = cost[best]! + LITERAL_START_BITS;
      literalStart = at;
      literalBefore = way[best]!;
      literalWay = -1;
      literalDistance = distance[best]!;
    }
    let bestCost = best < 0 ? Number.POSITIVE_INFINITY : cost[best]!;
    const bestDistance = best < 0 ? 0 : distance[best]!;
    const bestWay = best;
    for (; candidate < starts.length && starts[candidate] === at; candidate++) {
      if (ends[candidate]! <= at) continue;
      let state = states;
      if (states === MOST_STATES) {
        state = 0;
        for (let other = 1; other < states; other++) if (cost[other]! > cost[state]!) state = other;
        if (state === bestWay) continue;
      } else states++;
      distance[state] = distances[candidate]!;
      end[state] = ends[candidate]!;
      cost[state] = Number.POSITIVE_INFINITY;
    }
    void bestCost;
    for (let state = 0; state < states; state++) {
      if (state === best) continue;
      const own = cost[state]!;
      let entered = own;
      if (bestCost + COPY_BITS < entered) {
        const through = bestCost + COPY_BITS + seekBits(bestDistance, distance[state]!);
        if (through < entered) {
          entered = through;
          if (way[best]! < 0) way[best] = ways.add(before[best]!, start[best]!, bestDistance);
          before[state] = way[best]!;
        }
      }
      if (literalCost + COPY_BITS < entered) {
        const through = literalCost + COPY_BITS + seekBits(literalDistance, distance[state]!);
        if (through < entered) {
          entered = through;
          if (literalWay < 0) literalWay = ways.add(literalBefore, literalStart, Number.NaN);
          before[state] = literalWay;
        }
      }
      if (entered < own) {
        cost[state] = entered;
        start[state] = at;
        way[state] = -1;
        lastDifference[state] = at - NEAR;
      }
    }
    if (best >= 0 && literalCost + COPY_BITS < bestCost) {
      // A literal is cheaper than going on: the copy begins anew behind it.
      const through = literalCost + COPY_BITS + seekBits(literalDistance, bestDistance);
      if (through < bestCost) {
        if (literalWay < 0) literalWay = ways.add(literalBefore, literalStart, Number.NaN);
        before[best] = literalWay;
        cost[best] = through;
        start[best] = at;
        way[best] = -1;
        lastDifference[best] = at - NEAR;
        bestCost = through;
      }
    }

    // Long equal runs of the best state: nothing else can win meanwhile.
    let limit = candidate < starts.length ? starts[candidate]! : next.length;
    if (states > 0) {
      let leader = 0;
      for (let state = 1; state < states; state++) if (cost[state]! < cost[leader]!) leader = state;
      if (end[leader]! < limit) limit = end[leader]!;
      const shift = distance[leader]!;
      let run = at;
      while (run < limit && old[run + shift] === next[run]) run++;
      if (run - at >= LONG_RUN) {
        cost[leader]! += (run - at) * EQUAL_BITS + (at - lastDifference[leader]! < NEAR ? NEAR * EQUAL_NEAR_BITS : 0);
        literalCost += (run - at) * LITERAL_BITS;
        // What else there is begins anew from the leader, if it is still there.
        let kept = 0;
        for (let state = 0; state < states; state++) {
          if (end[state]! <= run && state !== leader) continue;
          if (state !== leader) cost[state] = Number.POSITIVE_INFINITY;
          move(state, kept++);
        }
        states = kept;
        at = run;
        dropEnded();
        continue;
      }
    }
    for (let state = 0; state < states; state++) {
      const gap = at - lastDifference[state]!;
      if (old[at + distance[state]!] === next[at]) cost[state]! += gap < NEAR ? EQUAL_NEAR_BITS : EQUAL_BITS;
      else {
        cost[state]! += gap < NEAR ? DIFFERENCE_NEAR_BITS : DIFFERENCE_BITS;
        lastDifference[state] = at;
      }
    }
    literalCost += LITERAL_BITS;
    at++;
    dropEnded();

    function move(from: number, to: number): void {
      if (from === to) return;
      distance[to] = distance[from]!;
      end[to] = end[from]!;
      cost[to] = cost[from]!;
      lastDifference[to] = lastDifference[from]!;
      start[to] = start[from]!;
      before[to] = before[from]!;
      way[to] = way[from]!;
    }
    function dropEnded(): void {
      // Before one ends, the literal can begin from it.
      let kept = 0;
      for (let state = 0; state < states; state++) {
        if (end[state]! > at) {
          move(state, kept++);
          continue;
        }
        if (cost[state]! + LITERAL_START_BITS < literalCost) {
          if (way[state]! < 0) way[state] = ways.add(before[state]!, start[state]!, distance[state]!);
          literalCost = cost[state]! + LITERAL_START_BITS;
          literalStart = at;
          literalBefore = way[state]!;
          literalWay = -1;
          literalDistance = distance[state]!;
        }
      }
      states = kept;
    }
  }
  let best = -1;
  for (let state = 0; state < states; state++) if (cost[state]! < (best < 0 ? literalCost : cost[best]!)) best = state;
  const last =
    best < 0
      ? ways.add(literalBefore, literalStart, Number.NaN)
      : ways.add(before[best]!, start[best]!, distance[best]!);
  return ways.copies(last, next.length);
}
