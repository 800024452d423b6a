/**
 * Chooses among candidates what is copied, so that copies, differences and literals together cost the least: Viterbi's algorithm over the
 * new file, where a state is a candidate that is being copied, or a literal.
 */
import type { Candidates } from './candidates.ts';
import type { Copies } from './find-copies.ts';
import { COST_UNIT } from './literal-costs.ts';
import { Ways } from './ways.ts';

/** Costs in bits, as the coders come to on average. A literal's length: */
const LITERAL_START_BITS = 4;
/** The lengths of a copy; where it is comes to that. */
const COPY_BITS = 13;
const SAME_DISTANCE_BITS = 3;
const SEEK_BITS = 5;
/** An equal byte, close behind a difference and far behind. */
const EQUAL_NEAR_BITS = 0.4;
const EQUAL_BITS = 0.02;
/** A difference as the last one, one close behind another, and one far behind. */
const DIFFERENCE_AGAIN_BITS = 5;
const DIFFERENCE_NEAR_BITS = 7;
const DIFFERENCE_BITS = 10;
/** How far is near. */
const NEAR = 8;

/** States at a time. */
const MOST_STATES = 24;
/** Equal bytes in which nothing else can become better. */
const LONG_RUN = 24;

/** The cheapest copies, in order. @param literalCosts of each byte of the new file, in units of 1 / COST_UNIT bits. */
export function chooseCopies(
  old: Uint8Array,
  next: Uint8Array,
  candidates: Candidates,
  literalCosts: Uint8Array,
): Copies {
  return new Chooser(old, next, literalCosts).choose(candidates.inOrder());
}

class Chooser {
  readonly #old: Uint8Array;
  readonly #next: Uint8Array;
  readonly #literalCosts: Uint8Array;
  readonly #ways = new Ways();
  /** States: old offset less new offset, end in the new file, cost so far, where the last difference was and which, and the stretch. */
  #states = 0;
  readonly #distance = new Float64Array(MOST_STATES);
  readonly #end = new Uint32Array(MOST_STATES);
  readonly #cost = new Float64Array(MOST_STATES);
  readonly #differedAt = new Float64Array(MOST_STATES);
  readonly #difference = new Int32Array(MOST_STATES);
  /** Of the copy before that with another distance. */
  readonly #earlier = new Float64Array(MOST_STATES);
  readonly #start = new Uint32Array(MOST_STATES);
  readonly #before = new Int32Array(MOST_STATES);
  /** The stretch's number among the ways, -1 until somebody goes on from it. */
  readonly #way = new Int32Array(MOST_STATES);
  #literalCost = LITERAL_START_BITS;
  #literalStart = 0;
  #literalBefore = -1;
  #literalWay = -1;
  /** Of the copy before the literal. */
  #literalDistance = 0;
  #literalEarlier = 0;

  constructor(old: Uint8Array, next: Uint8Array, literalCosts: Uint8Array) {
    this.#old = old;
    this.#next = next;
    this.#literalCosts = literalCosts;
  }

  choose({ starts, ends, distances }: ReturnType<Candidates['inOrder']>): Copies {
    const { length } = this.#next;
    let candidate = 0;
    for (let at = 0; at < length; ) {
      this.#leaveEnded(at);
      for (; candidate < starts.length && starts[candidate]! <= at; candidate++) {
        if (ends[candidate]! > at) this.#open(distances[candidate]!, ends[candidate]!);
      }
      const upcoming = candidate < starts.length ? starts[candidate]! : length;
      if (this.#states === 0) {
        for (; at < upcoming; at++) this.#literalCost += this.#literalCosts[at]! / COST_UNIT;
        continue;
      }
      const best = this.#best();
      this.#startLiteral(best, at);
      this.#enter(best, at);
      const run = this.#runOfBest(at, upcoming);
      if (run > at) at = run;
      else this.#step(at++);
    }
    const best = this.#states === 0 ? -1 : this.#best();
    const last =
      best < 0 || this.#literalCost <= this.#cost[best]!
        ? this.#ways.add(this.#literalBefore, this.#literalStart, Number.NaN)
        : this.#wayOf(best);
    return this.#ways.copies(last, length);
  }

  #best(): number {
    let best = 0;
    for (let state = 1; state < this.#states; state++) if (this.#cost[state]! < this.#cost[best]!) best = state;
    return best;
  }

  /** A new state; it is entered as soon as that is cheap. Where there are too many, the best one and those that go on longest stay. */
  #open(distance: number, end: number): void {
    let state = this.#states;
    if (state < MOST_STATES) this.#states++;
    else {
      const best = this.#best();
      state = best === 0 ? 1 : 0;
      for (let other = state + 1; other < MOST_STATES; other++) {
        if (other !== best && this.#end[other]! < this.#end[state]!) state = other;
      }
      if (this.#end[state]! >= end) return;
    }
    this.#distance[state] = distance;
    this.#end[state] = end;
    this.#cost[state] = Number.POSITIVE_INFINITY;
  }

  /** Takes out the states that end; a literal may go on from them. */
  #leaveEnded(at: number): void {
    let kept = 0;
    for (let state = 0; state < this.#states; state++) {
      if (this.#end[state]! <= at) {
        this.#startLiteral(state, at);
        continue;
      }
      if (kept < state) this.#move(state, kept);
      kept++;
    }
    this.#states = kept;
  }

  #move(from: number, to: number): void {
    this.#distance[to] = this.#distance[from]!;
    this.#end[to] = this.#end[from]!;
    this.#cost[to] = this.#cost[from]!;
    this.#differedAt[to] = this.#differedAt[from]!;
    this.#difference[to] = this.#difference[from]!;
    this.#earlier[to] = this.#earlier[from]!;
    this.#start[to] = this.#start[from]!;
    this.#before[to] = this.#before[from]!;
    this.#way[to] = this.#way[from]!;
  }

  #wayOf(state: number): number {
    if (this.#way[state]! < 0) {
      this.#way[state] = this.#ways.add(this.#before[state]!, this.#start[state]!, this.#distance[state]!);
    }
    return this.#way[state]!;
  }

  #wayOfLiteral(): number {
    if (this.#literalWay < 0) {
      this.#literalWay = this.#ways.add(this.#literalBefore, this.#literalStart, Number.NaN);
    }
    return this.#literalWay;
  }

  /** Lets the literal begin behind a state's copy where that is cheaper. */
  #startLiteral(state: number, at: number): void {
    const cost = this.#cost[state]! + LITERAL_START_BITS;
    if (cost >= this.#literalCost) return;
    this.#literalCost = cost;
    this.#literalStart = at;
    this.#literalBefore = this.#wayOf(state);
    this.#literalWay = -1;
    this.#literalDistance = this.#distance[state]!;
    this.#literalEarlier = this.#earlier[state]!;
  }

  /** Lets each state begin anew behind the best one or the literal where that is cheaper. */
  #enter(best: number, at: number): void {
    const bestCost = this.#cost[best]! + COPY_BITS;
    const literalCost = this.#literalCost + COPY_BITS;
    for (let state = 0; state < this.#states; state++) {
      const own = this.#cost[state]!;
      if (own <= bestCost && own <= literalCost) continue;
      const distance = this.#distance[state]!;
      const fromBest = bestCost + seekBits(this.#distance[best]!, this.#earlier[best]!, distance);
      const fromLiteral = literalCost + seekBits(this.#literalDistance, this.#literalEarlier, distance);
      if (own <= fromBest && own <= fromLiteral) continue;
      if (fromBest < fromLiteral) {
        this.#before[state] = this.#wayOf(best);
        this.#cost[state] = fromBest;
        this.#earlier[state] = this.#distance[best]!;
      } else {
        this.#before[state] = this.#wayOfLiteral();
        this.#cost[state] = fromLiteral;
        this.#earlier[state] = this.#literalDistance === distance ? this.#literalEarlier : this.#literalDistance;
      }
      this.#start[state] = at;
      this.#way[state] = -1;
      this.#differedAt[state] = at - NEAR;
      this.#difference[state] = 0;
    }
  }

  /** Goes over a long equal run of the best state, in which nothing else can win; the others begin anew. Gives its end, or `at`. */
  #runOfBest(at: number, upcoming: number): number {
    const best = this.#best();
    const distance = this.#distance[best]!;
    const old = this.#old;
    const next = this.#next;
    const last = Math.min(upcoming, this.#end[best]!);
    let end = at;
    while (end < last && old[end + distance] === next[end]) end++;
    if (end - at < LONG_RUN) return at;
    const isNear = at - this.#differedAt[best]! < NEAR;
    this.#cost[best]! += (end - at) * EQUAL_BITS + (isNear ? NEAR * EQUAL_NEAR_BITS : 0);
    for (let state = 0; state < this.#states; state++) if (state !== best) this.#cost[state] = Number.POSITIVE_INFINITY;
    this.#literalCost = Number.POSITIVE_INFINITY;
    return end;
  }

  #step(at: number): void {
    const byte = this.#next[at]!;
    for (let state = 0; state < this.#states; state++) {
      const isNear = at - this.#differedAt[state]! <= NEAR;
      const difference = (byte - this.#old[at + this.#distance[state]!]!) & 0xff;
      if (difference === 0) {
        this.#cost[state]! += isNear ? EQUAL_NEAR_BITS : EQUAL_BITS;
        continue;
      }
      if (difference === this.#difference[state]) this.#cost[state]! += DIFFERENCE_AGAIN_BITS;
      else this.#cost[state]! += isNear ? DIFFERENCE_NEAR_BITS : DIFFERENCE_BITS;
      this.#difference[state] = difference;
      this.#differedAt[state] = at;
    }
    this.#literalCost += this.#literalCosts[at]! / COST_UNIT;
  }
}

/** Where a copy goes on as one of the last two did, or near them. */
function seekBits(last: number, earlier: number, distance: number): number {
  const change = Math.min(Math.abs(distance - last), Math.abs(distance - earlier));
  return change === 0 ? SAME_DISTANCE_BITS : SEEK_BITS + 32 - Math.clz32(change);
}
