/** Finds the contents whose sketches share strings with another one. */
import { HASH_BITS, type Sketch } from './sketch.ts';

/** An entry is a hash times this plus the number of its content; both fit in the 53 bits of a double. */
const MAX_CONTENTS = 2 ** (53 - HASH_BITS);

/** Entries of one index, 8 bytes each: with more of them, half of all hashes are left out (again and again). */
const MAX_ENTRIES = 8 << 20;

/** Contents that are looked at for one string: a family of hundreds that are alike would cost a square of that. */
const MAX_SHARERS = 32;

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

  /**
   * The contents that share strings with a sketch, by their numbers. Of a string that very many have, the first few of them count,
   * and all of the `likely` ones.
   */
  find({ hashes }: Sketch, likely: readonly number[] = []): Match[] {
    this.#sort();
    const found = new Map<number, number[]>();
    const note = (content: number, string: number) => {
      const strings = found.get(content);
      if (strings === undefined) found.set(content, [string]);
      else if (strings.at(-1) !== string) strings.push(string);
    };
    for (let string = 0; string < hashes.length; string++) {
      const hash = hashes[string]!;
      if (hash >= this.#limit) break;
      const first = this.#placeOf(hash * MAX_CONTENTS);
      const end = (hash + 1) * MAX_CONTENTS;
      const last = Math.min(first + MAX_SHARERS, this.#count);
      let at = first;
      for (; at < last && this.#entries[at]! < end; at++) note(this.#entries[at]! % MAX_CONTENTS, string);
      if (at === last) for (const content of likely) if (this.#has(hash, content)) note(content, string);
    }
    return [...found].map(([content, strings]) => ({ content, strings })).sort((a, b) => a.content - b.content);
  }

  #has(hash: number, content: number): boolean {
    const entry = hash * MAX_CONTENTS + content;
    return this.#entries[this.#placeOf(entry)] === entry;
  }

  /** Where an entry is, or would be. */
  #placeOf(entry: number): number {
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#entries[middle]! < entry) low = middle + 1;
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
