/**
 * How zstd's encoder makes a distribution of 2^log states from how often codes occur (the source of version 1.5 is the reference; it has no
 * other description). It must come to the same integers, in which 64 bits are multiplied.
 */

const MIN_LOG = 5;
const MAX_LOG = 12;

/** The log that the encoder takes for `total` codes up to `maxCode`: what is above is wasted on few codes. `less`: 2; 1 for Huffman trees. */
export function fittingLog(maxLog: number, total: number, maxCode: number, less = 2): number {
  const most = 31 - Math.clz32(total - 1) - less;
  const least = Math.min(32 - Math.clz32(total), 33 - Math.clz32(maxCode));
  let log = Math.min(maxLog, most < 0 ? maxLog : most);
  log = Math.max(log, least);
  return Math.max(MIN_LOG, Math.min(log, MAX_LOG));
}

/** What the rest of a count below eight must be above for it to be rounded up, in 1/2^20. */
const ROUNDING = [0n, 473195n, 504333n, 520860n, 550000n, 700000n, 750000n, 830000n];
const ROUNDING_BITS = 20n;

/**
 * The distribution of codes that occur `histogram[code]` times, up to the last code that occurs; `total` is their sum. A code that has all is
 * not asked for.
 * @param low what a code gets that is too rare for a state: -1 or 1.
 */
export function normalize(
  log: number,
  histogram: Uint32Array,
  maxCode: number,
  total: number,
  low: -1 | 1,
): Int16Array {
  const counts = new Int16Array(maxCode + 1);
  const size = 1 << log;
  const rare = Math.floor(total / size);
  const step = (1n << 62n) / BigInt(total);
  const scale = BigInt(62 - log);
  let left = size;
  let largest = 0;
  let largestCount = 0;
  for (let code = 0; code <= maxCode; code++) {
    const occurs = histogram[code]!;
    if (occurs === 0) continue;
    if (occurs <= rare) {
      counts[code] = low;
      left--;
      continue;
    }
    const share = BigInt(occurs) * step;
    let count = Number(share >> scale);
    if (count < ROUNDING.length) {
      const rest = share - (BigInt(count) << scale);
      if (rest > ROUNDING[count]! << (scale - ROUNDING_BITS)) count++;
    }
    if (count > largestCount) {
      largestCount = count;
      largest = code;
    }
    counts[code] = count;
    left -= count;
  }
  if (-left >= counts[largest]! >> 1) distribute(counts, log, histogram, maxCode, total, low);
  else counts[largest]! += left;
  return counts;
}

const UNDECIDED = -2;

/** The second way, where rounding gave away too many states: rare codes first, then the others by what is left. */
function distribute(
  counts: Int16Array,
  log: number,
  histogram: Uint32Array,
  maxCode: number,
  total: number,
  low: -1 | 1,
): void {
  const rare = Math.floor(total / 2 ** log);
  let one = Math.floor((total * 3) / 2 ** (log + 1));
  let given = 0;
  let rest = total;
  for (let code = 0; code <= maxCode; code++) {
    const occurs = histogram[code]!;
    if (occurs === 0) counts[code] = 0;
    else if (occurs <= rare || occurs <= one) {
      counts[code] = occurs <= rare ? low : 1;
      given++;
      rest -= occurs;
    } else counts[code] = UNDECIDED;
  }
  let left = (1 << log) - given;
  if (left === 0) return;
  if (Math.floor(rest / left) > one) {
    one = Math.floor((rest * 3) / (left * 2));
    for (let code = 0; code <= maxCode; code++) {
      if (counts[code] !== UNDECIDED || histogram[code]! > one) continue;
      counts[code] = 1;
      given++;
      rest -= histogram[code]!;
    }
    left = (1 << log) - given;
  }
  if (given === maxCode + 1) {
    let most = 0;
    for (let code = 1; code <= maxCode; code++) if (histogram[code]! > histogram[most]!) most = code;
    counts[most]! += left;
    return;
  }
  if (rest === 0) {
    for (let code = 0; left > 0; code = (code + 1) % (maxCode + 1)) {
      if (counts[code]! <= 0) continue;
      counts[code]!++;
      left--;
    }
    return;
  }
  const scale = BigInt(62 - log);
  const middle = (1n << (scale - 1n)) - 1n;
  const step = ((1n << scale) * BigInt(left) + middle) / BigInt(rest);
  let sum = middle;
  for (let code = 0; code <= maxCode; code++) {
    if (counts[code] !== UNDECIDED) continue;
    const next = sum + BigInt(histogram[code]!) * step;
    counts[code] = Number((next >> scale) - (sum >> scale));
    sum = next;
  }
}
