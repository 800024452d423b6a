/**
 * The Huffman codes that zstd's encoder gives symbols (the source of versions 1.5.1 and later is the reference). Codes of the same cost differ in
 * which of equally frequent symbols is longer, so the order in which it sorts matters too.
 */
import { type HuffmanTable, huffmanTable } from './huffman-table.ts';

const SYMBOLS = 256;

/** Counts below have a bucket each; those above share one for each power of two. */
const DISTINCT_COUNTS = 166;
const LARGE_BUCKETS = 158;
const BUCKETS = 192;

/** Buckets of so few symbols are sorted by insertion. */
const INSERTION_SORTED = 8;

/** Node of the leaf i is i; inner nodes follow. */
const INNER = SYMBOLS;
const BARRIER = 2 ** 31;
const UNSEEN = 2 ** 30;

export class HuffmanBuilder {
  readonly #counts = new Float64Array(2 * SYMBOLS + 2);
  readonly #symbols = new Uint8Array(SYMBOLS);
  readonly #parents = new Uint16Array(2 * SYMBOLS + 2);
  readonly #depths = new Uint8Array(2 * SYMBOLS + 2);
  readonly #starts = new Uint16Array(BUCKETS + 1);
  readonly #ends = new Uint16Array(BUCKETS + 1);

  /** A table of codes up to `limit` bits for two symbols or more, of which the highest is `maxSymbol`. */
  build(histogram: Uint32Array, maxSymbol: number, limit: number): HuffmanTable {
    this.#sort(histogram, maxSymbol);
    const leaves = this.#tree(maxSymbol);
    const maxBits = this.#shorten(leaves - 1, limit);
    const lengths = new Uint8Array(SYMBOLS);
    for (let leaf = 0; leaf < leaves; leaf++) lengths[this.#symbols[leaf]!] = this.#depths[leaf]!;
    return huffmanTable(lengths, maxBits);
  }

  /** Symbols by falling counts. */
  #sort(histogram: Uint32Array, maxSymbol: number): void {
    const starts = this.#starts.fill(0);
    const ends = this.#ends;
    for (let symbol = 0; symbol <= maxSymbol; symbol++) starts[bucketOf(histogram[symbol]!)]!++;
    for (let bucket = BUCKETS - 1, above = 0; bucket >= 0; bucket--) {
      const here = starts[bucket]!;
      starts[bucket] = above;
      ends[bucket] = above;
      above += here;
    }
    for (let symbol = 0; symbol <= maxSymbol; symbol++) {
      const at = ends[bucketOf(histogram[symbol]!)]!++;
      this.#counts[at] = histogram[symbol]!;
      this.#symbols[at] = symbol;
    }
    for (let bucket = DISTINCT_COUNTS - 1; bucket < BUCKETS; bucket++)
      this.#sortRange(starts[bucket]!, ends[bucket]! - 1);
  }

  #sortRange(from: number, to: number): void {
    let low = from;
    let high = to;
    if (high - low < INSERTION_SORTED) {
      this.#sortByInsertion(low, high);
      return;
    }
    while (low < high) {
      const middle = this.#partition(low, high);
      if (middle - low < high - middle) {
        this.#sortRange(low, middle - 1);
        low = middle + 1;
      } else {
        this.#sortRange(middle + 1, high);
        high = middle - 1;
      }
    }
  }

  #sortByInsertion(low: number, high: number): void {
    const counts = this.#counts;
    const symbols = this.#symbols;
    for (let next = low + 1; next <= high; next++) {
      const count = counts[next]!;
      const symbol = symbols[next]!;
      let at = next - 1;
      for (; at >= low && counts[at]! < count; at--) {
        counts[at + 1] = counts[at]!;
        symbols[at + 1] = symbols[at]!;
      }
      counts[at + 1] = count;
      symbols[at + 1] = symbol;
    }
  }

  #partition(low: number, high: number): number {
    const pivot = this.#counts[high]!;
    let at = low;
    for (let next = low; next < high; next++) if (this.#counts[next]! > pivot) this.#swap(at++, next);
    this.#swap(at, high);
    return at;
  }

  #swap(a: number, b: number): void {
    const counts = this.#counts;
    const symbols = this.#symbols;
    const count = counts[a]!;
    counts[a] = counts[b]!;
    counts[b] = count;
    const symbol = symbols[a]!;
    symbols[a] = symbols[b]!;
    symbols[b] = symbol;
  }

  /** A tree without limit. @returns how many leaves it has. */
  #tree(maxSymbol: number): number {
    const counts = this.#counts;
    const parents = this.#parents;
    const depths = this.#depths;
    let leaf = maxSymbol;
    while (counts[leaf] === 0) leaf--;
    const leaves = leaf + 1;
    const root = INNER + leaves - 2;
    counts.fill(UNSEEN, INNER, root + 2);
    let inner = INNER;
    for (let node = INNER; node <= root; node++) {
      let sum = 0;
      for (let child = 0; child < 2; child++) {
        const leafCount = leaf < 0 ? BARRIER : counts[leaf]!;
        const taken = node === INNER || leafCount < counts[inner]! ? leaf-- : inner++;
        sum += counts[taken]!;
        parents[taken] = node;
      }
      counts[node] = sum;
    }
    depths[root] = 0;
    for (let node = root - 1; node >= INNER; node--) depths[node] = depths[parents[node]!]! + 1;
    for (let node = 0; node < leaves; node++) depths[node] = depths[parents[node]!]! + 1;
    return leaves;
  }

  /** Brings all codes to `limit` bits at most: too long ones are cut, and others made longer for it. @returns the longest one's bits. */
  #shorten(last: number, limit: number): number {
    const depths = this.#depths;
    const counts = this.#counts;
    const longest = depths[last]!;
    if (longest <= limit) return longest;
    let debt = 0;
    let at = last;
    for (; depths[at]! > limit; at--) {
      debt += (1 << (longest - limit)) - (1 << (longest - depths[at]!));
      depths[at] = limit;
    }
    while (depths[at] === limit) at--;
    debt >>= longest - limit;
    // For each number of bits below the limit the last leaf that has so many.
    const lasts = new Int16Array(limit + 3).fill(-1);
    for (let leaf = at, bits = limit; leaf >= 0; leaf--) {
      if (depths[leaf]! >= bits) continue;
      bits = depths[leaf]!;
      lasts[limit - bits] = leaf;
    }
    while (debt > 0) {
      let below = 32 - Math.clz32(debt);
      for (; below > 1; below--) {
        const high = lasts[below] ?? -1;
        const low = lasts[below - 1] ?? -1;
        if (high < 0) continue;
        if (low < 0 || counts[high]! <= 2 * counts[low]!) break;
      }
      while (below < limit && lasts[below]! < 0) below++;
      const leaf = lasts[below]!;
      debt -= 1 << (below - 1);
      depths[leaf]!++;
      if (lasts[below - 1]! < 0) lasts[below - 1] = leaf;
      lasts[below] = leaf > 0 && depths[leaf - 1] === limit - below ? leaf - 1 : -1;
    }
    for (; debt < 0; debt++) {
      if (lasts[1]! < 0) {
        while (depths[at] === limit) at--;
        depths[at + 1]!--;
        lasts[1] = at + 1;
      } else {
        depths[lasts[1]! + 1]!--;
        lasts[1]!++;
      }
    }
    return limit;
  }
}

function bucketOf(count: number): number {
  return count < DISTINCT_COUNTS ? count : 31 - Math.clz32(count) + LARGE_BUCKETS;
}
