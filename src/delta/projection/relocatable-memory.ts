/** What the modules of one kernel update teach each other: numbers that changed in one changed alike in all. */
import { MAX_LEARNED_NUMBERS } from '../../core/limits.ts';

/** Old numbers and what they became, where neighbours mostly moved by the same. */
export class NumberShifts {
  /** Ascending, with what each moved by. */
  #olds = new Float64Array(0);
  #shifts = new Float64Array(0);

  /** Number of known ones not above a number. */
  #upTo(number: number): number {
    let low = 0;
    let high = this.#olds.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#olds[middle]! <= number) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** What an old number is now: moved as the next known one below it. */
  moved(number: number): number {
    const known = this.#upTo(number);
    return known === 0 ? number : number + this.#shifts[known - 1]!;
  }

  /** @param became for old numbers what they are now */
  learn(became: ReadonlyMap<number, number>): void {
    const added: number[] = [];
    for (const [old, now] of became) {
      const known = this.#upTo(old);
      if (known > 0 && this.#olds[known - 1] === old) this.#shifts[known - 1] = now - old;
      else added.push(old);
    }
    const room = MAX_LEARNED_NUMBERS - this.#olds.length;
    this.#insert(
      added.slice(0, room).sort((a, b) => a - b),
      became,
    );
  }

  #insert(added: readonly number[], became: ReadonlyMap<number, number>): void {
    if (added.length === 0) return;
    const olds = new Float64Array(this.#olds.length + added.length);
    const shifts = new Float64Array(olds.length);
    let known = 0;
    let next = 0;
    for (let at = 0; at < olds.length; at++) {
      if (next === added.length || (known < this.#olds.length && this.#olds[known]! < added[next]!)) {
        olds[at] = this.#olds[known]!;
        shifts[at] = this.#shifts[known++]!;
      } else {
        const old = added[next++]!;
        olds[at] = old;
        shifts[at] = became.get(old)! - old;
      }
    }
    this.#olds = olds;
    this.#shifts = shifts;
  }
}

/** Checksums and what they became: nothing follows for others. */
export class Checksums {
  readonly #known = new Map<number, number>();

  moved(checksum: number): number {
    return this.#known.get(checksum) ?? checksum;
  }

  learn(became: ReadonlyMap<number, number>): void {
    for (const [old, now] of became) {
      if (this.#known.size >= MAX_LEARNED_NUMBERS) return;
      this.#known.set(old, now);
    }
  }
}

/** Places in a new file whose old numbers are known; what stands there is learned when that file is known. */
export class Lessons {
  readonly #pupil: NumberShifts | Checksums;
  readonly #places: number[] = [];
  readonly #numbers: number[] = [];

  constructor(pupil: NumberShifts | Checksums) {
    this.#pupil = pupil;
  }

  /** @param at offset of 32 bits in the new file */
  add(at: number, number: number): void {
    if (this.#places.length >= MAX_LEARNED_NUMBERS) return;
    this.#places.push(at);
    this.#numbers.push(number);
  }

  learn(next: DataView): void {
    const became = new Map<number, number>();
    for (const [index, at] of this.#places.entries())
      if (at + 4 <= next.byteLength) became.set(this.#numbers[index]!, next.getUint32(at, true));
    this.#pupil.learn(became);
  }
}

export class RelocatableMemory {
  /** Ids of the kernel's types in BTF. */
  readonly types = new NumberShifts();
  /** Offsets in the kernel's strings in BTF. */
  readonly strings = new NumberShifts();
  /** Checksums of exported symbols. */
  readonly checksums = new Checksums();
}
