/** What the modules of one kernel update teach each other: numbers that changed in one changed alike in all. */
import { MAX_LEARNED_NUMBERS } from '../../core/limits.ts';

/** Old numbers and what they became, where neighbours mostly moved by the same. */
export class NumberShifts {
  readonly #olds: number[] = [];
  readonly #shifts: number[] = [];

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

  learn(number: number, moved: number): void {
    const known = this.#upTo(number);
    if (known > 0 && this.#olds[known - 1] === number) {
      this.#shifts[known - 1] = moved - number;
    } else if (this.#olds.length < MAX_LEARNED_NUMBERS) {
      this.#olds.splice(known, 0, number);
      this.#shifts.splice(known, 0, moved - number);
    }
  }
}

export class RelocatableMemory {
  /** Ids of the kernel's types in BTF. */
  readonly types = new NumberShifts();
  /** Offsets in the kernel's strings in BTF. */
  readonly strings = new NumberShifts();
  /** Checksums of exported symbols. */
  readonly checksums = new Map<number, number>();
}
