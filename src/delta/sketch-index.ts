/** Finds the contents whose sketches share strings with another one. */
import { HASH_BITS, type Sketch } from './sketch.ts';

/** An entry is a hash times this plus the number of its content; both fit in the 53 bits of a double. */
const MAX_CONTENTS = 2 ** (53 - HASH_BITS);

/** Entries of one index, 8 bytes each: with more of them, half of all hashes are left out (again and again). */
const MAX_ENTRIES = 8 << 20;

/** Strings that more contents have say what family a content is of, not which one it came from. */
const MAX_SHARERS = 48;

/** A content that shares strings with the one that is looked up. */
export interface Match {
  /** The content's number. */
  readonly content: number;
  /** Which strings of the looked-up sketch it has, as indexes into its hashes. */
  readonly strings: readonly number[];
}

export class SketchIndex {
  #entries = new Float64Array(1024);
  #count = 0;
  #isSorted = true;
  /** Hashes from here on are left out. */
  #limit = 2 ** HASH_BITS;
  readonly #maxEntries: number;

  constructor(maxEntries = MAX_ENTRIES) {
    this.#maxEntries = maxEntries;
  }

  /** Of how many hashes one is in the index: bytes that are estimated from shared strings count so many times. */
  get thinning(): number {
    return 2 ** HASH_BITS / this.#limit;
  }

  /** @param content its number, below 2^22; contents beyond are not indexed. */
  add(content: number, { hashes }: Sketch): void {
    if (content >= MAX_CONTENTS) return;
    for (const hash of hashes) {
      if (hash >= this.#limit) return;
      if (this.#count === this.#entries.length) this.#makeRoom();
      if (hash < this.#limit) this.#entries[this.#count++] = hash * MAX_CONTENTS + content;
    }
    this.#isSorted = false;
  }

  /** The contents that share strings with a sketch, by their numbers. */
  find({ hashes }: Sketch): Match[] {
    this.#sort();
    const entries = this.#entries;
    const found = new Map<number, number[]>();
    for (let string = 0; string < hashes.length; string++) {
      const hash = hashes[string]!;
      if (hash >= this.#limit) break;
      const first = this.#firstOf(hash);
      const end = (hash + 1) * MAX_CONTENTS;
      if (first + MAX_SHARERS < this.#count && entries[first + MAX_SHARERS]! < end) continue;
      for (let at = first; at < this.#count && entries[at]! < end; at++) {
        const content = entries[at]! % MAX_CONTENTS;
        const strings = found.get(content);
        if (strings === undefined) found.set(content, [string]);
        else strings.push(string);
      }
    }
    return [...found].map(([content, strings]) => ({ content, strings })).sort((a, b) => a.content - b.content);
  }

  #firstOf(hash: number): number {
    const wanted = hash * MAX_CONTENTS;
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#entries[middle]! < wanted) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #sort(): void {
    if (this.#isSorted) return;
    this.#entries.subarray(0, this.#count).sort();
    this.#isSorted = true;
  }

  #makeRoom(): void {
    if (this.#count < this.#maxEntries) {
      const larger = new Float64Array(Math.min(2 * this.#count, this.#maxEntries));
      larger.set(this.#entries);
      this.#entries = larger;
      return;
    }
    this.#limit /= 2;
    const end = this.#limit * MAX_CONTENTS;
    let kept = 0;
    for (const entry of this.#entries) if (entry < end) this.#entries[kept++] = entry;
    this.#count = kept;
  }
}
