/**
 * Suffix arrays in linear time by induced sorting: G. Nong, S. Zhang, W. H. Chan, "Linear Suffix Array Construction by Almost Pure
 * Induced-Sorting" (DCC 2009). A suffix is of type S when it is smaller than the one behind it, else of type L; an LMS suffix is one of
 * type S behind one of type L. Sorted LMS suffixes give the order of all others in two passes, and are themselves sorted by such passes
 * over LMS substrings, then by the same algorithm on the string of their ranks.
 *
 * During a pass an entry is a position, or the complement of a position from which nothing more follows in that pass.
 */
import { OsupdError } from '../../core/errors.ts';
import { MAX_SUFFIX_ARRAY_BYTES } from '../../core/limits.ts';

type Text = Uint8Array | Int32Array;

const BYTE_VALUES = 256;

/** Up to so many bytes the array is in memory that is kept for the next one; most files are far smaller. */
const KEPT_BYTES = 8 << 20;

let kept = new Int32Array(0);
const byteCounts = new Int32Array(BYTE_VALUES);
const byteBuckets = new Int32Array(BYTE_VALUES);

/**
 * The start offsets of all suffixes of `bytes` in the order of their bytes; a suffix that is the beginning of another one comes first.
 * The array may be in memory that the next call uses again. Takes four bytes of memory for each byte, in rare cases eight.
 * @throws OsupdError `limit-exceeded` above MAX_SUFFIX_ARRAY_BYTES.
 */
export function suffixArray(bytes: Uint8Array): Int32Array {
  const { length } = bytes;
  if (length > MAX_SUFFIX_ARRAY_BYTES) {
    throw new OsupdError('limit-exceeded', `a suffix array of ${length} bytes; ${MAX_SUFFIX_ARRAY_BYTES} is the most`);
  }
  const sorted = memoryFor(length);
  if (length < 2) sorted.fill(0);
  else sortSuffixes(bytes, sorted, byteCounts, byteBuckets);
  return sorted;
}

function memoryFor(length: number): Int32Array {
  if (length > KEPT_BYTES) return new Int32Array(length);
  if (kept.length < length) kept = new Int32Array(Math.min(KEPT_BYTES, 2 * length));
  return kept.subarray(0, length);
}

/** @param counts, buckets working space, an entry for each value a symbol can have. */
function sortSuffixes(text: Text, sorted: Int32Array, counts: Int32Array, buckets: Int32Array): void {
  counts.fill(0);
  for (let at = 0; at < text.length; at++) counts[text[at]!]!++;
  const found = placeLmsSuffixes(text, sorted, counts, buckets);
  if (found > 1) {
    sortLmsSubstrings(text, sorted, counts, buckets);
    collectLmsSubstrings(sorted, found);
    const ranks = rankLmsSubstrings(text, sorted, found);
    if (ranks < found) sortLmsSuffixes(text, sorted, found, ranks);
    spreadLmsSuffixes(text, sorted, found, counts, buckets);
  }
  induce(text, sorted, counts, buckets);
}

function setBucketStarts(counts: Int32Array, buckets: Int32Array): void {
  let sum = 0;
  for (let symbol = 0; symbol < counts.length; symbol++) {
    buckets[symbol] = sum;
    sum += counts[symbol]!;
  }
}

function setBucketEnds(counts: Int32Array, buckets: Int32Array): void {
  let sum = 0;
  for (let symbol = 0; symbol < counts.length; symbol++) {
    sum += counts[symbol]!;
    buckets[symbol] = sum;
  }
}

/** Puts each LMS suffix at the end of the bucket of its first symbol; every other entry is 0. Gives their number. */
function placeLmsSuffixes(text: Text, sorted: Int32Array, counts: Int32Array, buckets: Int32Array): number {
  setBucketEnds(counts, buckets);
  sorted.fill(0);
  let found = 0;
  let later = text[text.length - 1]!;
  let rises = false;
  for (let at = text.length - 2; at >= 0; at--) {
    const symbol = text[at]!;
    if (symbol < later) rises = true;
    else if (symbol > later) {
      if (rises) {
        sorted[--buckets[later]!] = at + 1;
        found++;
      }
      rises = false;
    }
    later = symbol;
  }
  return found;
}

/** Sorts the LMS substrings: what is left are the complements of their positions, and zeros. */
function sortLmsSubstrings(text: Text, sorted: Int32Array, counts: Int32Array, buckets: Int32Array): void {
  const last = text.length - 1;
  setBucketStarts(counts, buckets);
  sorted[buckets[text[last]!]!++] = text[last - 1]! < text[last]! ? ~last : last;
  for (let rank = 0; rank <= last; rank++) {
    const behind = sorted[rank]!;
    if (behind > 0) {
      sorted[rank] = 0;
      const at = behind - 1;
      const symbol = text[at]!;
      sorted[buckets[symbol]!++] = at > 0 && text[at - 1]! < symbol ? ~at : at;
    } else if (behind < 0) sorted[rank] = ~behind;
  }
  setBucketEnds(counts, buckets);
  for (let rank = last; rank >= 0; rank--) {
    const behind = sorted[rank]!;
    if (behind > 0) {
      sorted[rank] = 0;
      const at = behind - 1;
      const symbol = text[at]!;
      sorted[--buckets[symbol]!] = at > 0 && text[at - 1]! > symbol ? ~at : at;
    }
  }
}

/** Moves the positions of sorted LMS substrings to the front and clears the rest. */
function collectLmsSubstrings(sorted: Int32Array, found: number): void {
  let filled = 0;
  for (let rank = 0; filled < found; rank++) {
    const entry = sorted[rank]!;
    if (entry < 0) sorted[filled++] = ~entry;
  }
  sorted.fill(0, found);
}

/**
 * Gives equal LMS substrings the same rank, 1 or more, kept behind the positions at half the offset (no two are adjacent).
 * Returns the number of ranks.
 */
function rankLmsSubstrings(text: Text, sorted: Int32Array, found: number): number {
  const { length } = text;
  let end = length;
  let later = text[length - 1]!;
  let rises = false;
  for (let at = length - 2; at >= 0; at--) {
    const symbol = text[at]!;
    if (symbol < later) rises = true;
    else if (symbol > later) {
      if (rises) {
        sorted[found + ((at + 1) >>> 1)] = end - at;
        end = at + 1;
      }
      rises = false;
    }
    later = symbol;
  }
  let ranks = 0;
  let other = 0;
  let otherLength = 0;
  for (let index = 0; index < found; index++) {
    const at = sorted[index]!;
    const slot = found + (at >>> 1);
    const size = sorted[slot]!;
    let same = 0;
    // One that ends the text has no symbol behind it, so it equals no other.
    if (size === otherLength && at + size <= length && other + size <= length) {
      while (same < size && text[at + same] === text[other + same]) same++;
    }
    if (same < size) {
      ranks++;
      other = at;
      otherLength = size;
    }
    sorted[slot] = ranks;
  }
  return ranks;
}

/** Sorts the LMS suffixes by sorting the suffixes of the string of their ranks, in the order of the text. */
function sortLmsSuffixes(text: Text, sorted: Int32Array, found: number, ranks: number): void {
  const { length } = text;
  let filled = length;
  for (let slot = found + (length >>> 1); slot >= found; slot--) {
    const rank = slot < length ? sorted[slot]! : 0;
    if (rank > 0) sorted[--filled] = rank - 1;
  }
  const order = sorted.subarray(0, found);
  const rankText = sorted.subarray(length - found);
  const free = sorted.subarray(found, length - found);
  const space = free.length >= 2 * ranks ? free : new Int32Array(2 * ranks);
  sortSuffixes(rankText, order, space.subarray(0, ranks), space.subarray(ranks, 2 * ranks));

  filled = found;
  let later = text[length - 1]!;
  let rises = false;
  for (let at = length - 2; at >= 0; at--) {
    const symbol = text[at]!;
    if (symbol < later) rises = true;
    else if (symbol > later) {
      if (rises) rankText[--filled] = at + 1;
      rises = false;
    }
    later = symbol;
  }
  for (let index = 0; index < found; index++) order[index] = rankText[order[index]!]!;
}

/** Moves the sorted LMS suffixes from the front to the ends of their buckets; every other entry is 0. */
function spreadLmsSuffixes(
  text: Text,
  sorted: Int32Array,
  found: number,
  counts: Int32Array,
  buckets: Int32Array,
): void {
  setBucketEnds(counts, buckets);
  sorted.fill(0, found);
  for (let index = found - 1; index >= 0; index--) {
    const at = sorted[index]!;
    sorted[index] = 0;
    sorted[--buckets[text[at]!]!] = at;
  }
}

/** Sorts all suffixes, given the LMS suffixes in order: first those of type L, then those of type S. */
function induce(text: Text, sorted: Int32Array, counts: Int32Array, buckets: Int32Array): void {
  const last = text.length - 1;
  setBucketStarts(counts, buckets);
  sorted[buckets[text[last]!]!++] = text[last - 1]! < text[last]! ? ~last : last;
  for (let rank = 0; rank <= last; rank++) {
    const behind = sorted[rank]!;
    sorted[rank] = ~behind;
    if (behind > 0) {
      const at = behind - 1;
      const symbol = text[at]!;
      sorted[buckets[symbol]!++] = at > 0 && text[at - 1]! < symbol ? ~at : at;
    }
  }
  setBucketEnds(counts, buckets);
  for (let rank = last; rank >= 0; rank--) {
    const behind = sorted[rank]!;
    if (behind > 0) {
      const at = behind - 1;
      const symbol = text[at]!;
      sorted[--buckets[symbol]!] = at === 0 || text[at - 1]! > symbol ? ~at : at;
    } else sorted[rank] = ~behind;
  }
}
