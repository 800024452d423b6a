/**
 * Aligns two sequences of numbers (bytes, or keys of rows) that are alike: unique windows that both have, taken in the longest order that grows in
 * both, and the same again with smaller windows between them (patience diff). The encoder's side of edit scripts.
 */
import { type EditScript, ScriptBuilder } from './edit-script.ts';

export type Sequence = Uint8Array | Uint32Array;

/** Sizes of windows for bytes and for rows whose keys are hashes. */
export const BYTE_WINDOWS: readonly number[] = [32, 16, 10, 6];
export const ROW_WINDOWS: readonly number[] = [8, 3, 1];

const UNUSED = 0xffff_ffff;
const REPEATED = 0xffff_fffe;

const SLOTS_PER_WINDOW = 8;
const MAX_SLOT_BITS = 24;

class Aligner {
  readonly #a: Sequence;
  readonly #b: Sequence;
  readonly #windows: readonly number[];
  readonly runs: [number, number, number][] = [];

  constructor(a: Sequence, b: Sequence, windows: readonly number[]) {
    this.#a = a;
    this.#b = b;
    this.#windows = windows;
  }

  /** Aligns a[aFrom..aTo) with b[bFrom..bTo). */
  align(aFrom: number, aTo: number, bFrom: number, bTo: number, level: number): void {
    const a = this.#a;
    const b = this.#b;
    let head = 0;
    const most = Math.min(aTo - aFrom, bTo - bFrom);
    while (head < most && a[aFrom + head] === b[bFrom + head]) head++;
    let tail = 0;
    while (tail < most - head && a[aTo - 1 - tail] === b[bTo - 1 - tail]) tail++;
    if (head > 0) this.runs.push([aFrom, bFrom, head]);
    this.#alignMiddle(aFrom + head, aTo - tail, bFrom + head, bTo - tail, level);
    if (tail > 0) this.runs.push([aTo - tail, bTo - tail, tail]);
  }

  #alignMiddle(aFrom: number, aTo: number, bFrom: number, bTo: number, level: number): void {
    for (let next = level; next < this.#windows.length; next++) {
      const window = this.#windows[next]!;
      if (aTo - aFrom < window || bTo - bFrom < window) continue;
      const anchors = this.#anchors(aFrom, aTo, bFrom, bTo, window);
      if (anchors.length === 0) continue;
      let aAt = aFrom;
      let bAt = bFrom;
      for (const [aAnchor, bAnchor] of anchors) {
        if (aAnchor < aAt || bAnchor < bAt) continue;
        let from = 0;
        while (
          aAnchor - from > aAt &&
          bAnchor - from > bAt &&
          this.#a[aAnchor - from - 1] === this.#b[bAnchor - from - 1]
        )
          from++;
        let to = 0;
        while (aAnchor + to < aTo && bAnchor + to < bTo && this.#a[aAnchor + to] === this.#b[bAnchor + to]) to++;
        this.align(aAt, aAnchor - from, bAt, bAnchor - from, next + 1);
        this.runs.push([aAnchor - from, bAnchor - from, from + to]);
        aAt = aAnchor + to;
        bAt = bAnchor + to;
      }
      this.align(aAt, aTo, bAt, bTo, next + 1);
      return;
    }
  }

  /** Windows that are once in each, in the longest order that grows in both. */
  #anchors(aFrom: number, aTo: number, bFrom: number, bTo: number, window: number): [number, number][] {
    const a = this.#a;
    const b = this.#b;
    const aCount = aTo - aFrom - window + 1;
    // Windows that share a slot are lost, few if there are many slots.
    let bits = 8;
    while (1 << bits < SLOTS_PER_WINDOW * aCount && bits < MAX_SLOT_BITS) bits++;
    const slotsOfA = hashWindows(a, aFrom, aCount, window, bits);
    const inA = placesBySlot(slotsOfA, bits);
    const inB = placesBySlot(hashWindows(b, bFrom, bTo - bFrom - window + 1, window, bits), bits);
    const pairs: [number, number][] = [];
    let lastShift = Number.NaN;
    let lastAt = -1;
    for (let index = 0; index < aCount; index++) {
      const slot = slotsOfA[index]!;
      if (inA[slot] !== index || inB[slot]! >= REPEATED) continue;
      const aAt = aFrom + index;
      const bAt = bFrom + inB[slot]!;
      // Windows that go on like the one before need no anchor of their own.
      if (bAt - aAt !== lastShift || aAt > lastAt + 1) {
        let length = 0;
        while (length < window && a[aAt + length] === b[bAt + length]) length++;
        if (length < window) continue;
        pairs.push([aAt, bAt]);
      }
      lastShift = bAt - aAt;
      lastAt = aAt;
    }
    return longestGrowing(pairs);
  }
}

/** For each slot the number of the window that has it, REPEATED where several have. */
function placesBySlot(slots: Uint32Array, bits: number): Uint32Array {
  const places = new Uint32Array(1 << bits).fill(UNUSED);
  for (let index = 0; index < slots.length; index++) {
    const slot = slots[index]!;
    places[slot] = places[slot] === UNUSED ? index : REPEATED;
  }
  return places;
}

const FACTOR = 0x9e37_79b1;

/** The slot of each window, by a rolling hash. */
function hashWindows(of: Sequence, from: number, count: number, window: number, bits: number): Uint32Array {
  const slots = new Uint32Array(count);
  let leaving = 1;
  for (let step = 0; step < window; step++) leaving = Math.imul(leaving, FACTOR);
  let hash = 0;
  for (let step = 0; step < window - 1; step++) hash = (Math.imul(hash, FACTOR) + of[from + step]! + 1) | 0;
  for (let index = 0; index < count; index++) {
    const place = from + index;
    hash = (Math.imul(hash, FACTOR) + of[place + window - 1]! + 1) | 0;
    if (index > 0) hash = (hash - Math.imul(leaving, of[place - 1]! + 1)) | 0;
    slots[index] = Math.imul(hash ^ (hash >>> 15), 0x85eb_ca6b) >>> (32 - bits);
  }
  return slots;
}

/** The longest subsequence whose second places grow; the first ones grow already. */
function longestGrowing(pairs: readonly [number, number][]): [number, number][] {
  const tails: number[] = [];
  const before = new Int32Array(pairs.length);
  for (let index = 0; index < pairs.length; index++) {
    const place = pairs[index]![1];
    let low = 0;
    let high = tails.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (pairs[tails[middle]!]![1] < place) low = middle + 1;
      else high = middle;
    }
    before[index] = low === 0 ? -1 : tails[low - 1]!;
    tails[low] = index;
  }
  const chain: [number, number][] = [];
  for (let index = tails.length === 0 ? -1 : tails[tails.length - 1]!; index >= 0; index = before[index]!)
    chain.push(pairs[index]!);
  return chain.reverse();
}

/** The runs that two sequences share, in the order of both: places in either, and the length. */
function alignedRuns(
  a: Sequence,
  b: Sequence,
  windows: readonly number[],
): readonly (readonly [aAt: number, bAt: number, length: number])[] {
  const aligner = new Aligner(a, b, windows);
  aligner.align(0, a.length, 0, b.length, 0);
  return aligner.runs;
}

/**
 * The runs that two sequences share, as a script.
 * @param shortest runs below this that stand between two shifts are not worth their mention
 */
export function alignSequences(a: Sequence, b: Sequence, windows: readonly number[], shortest = 1): EditScript {
  const builder = new ScriptBuilder();
  for (const [aAt, bAt, length] of worthwhile(alignedRuns(a, b, windows), a.length, b.length, shortest))
    builder.add(aAt, bAt, length);
  return builder.finish(a.length, b.length);
}

/** Leaves out short runs that lie on another shift than both their neighbours. */
function worthwhile(
  runs: readonly (readonly [number, number, number])[],
  aLength: number,
  bLength: number,
  shortest: number,
): (readonly [number, number, number])[] {
  const kept: (readonly [number, number, number])[] = [];
  for (let index = 0; index < runs.length; index++) {
    const run = runs[index]!;
    const shift = run[1] - run[0];
    const last = kept[kept.length - 1];
    const shiftBefore = last === undefined ? 0 : last[1] - last[0];
    const next = runs[index + 1];
    const shiftAfter = next === undefined ? bLength - aLength : next[1] - next[0];
    if (run[2] >= shortest || shift === shiftBefore || shift === shiftAfter) kept.push(run);
  }
  return kept;
}
