/** Tables of finite state entropy coding (RFC 8878, 4.1): descriptions, tables that decode, tables that encode. */
import { type BitWriter, ForwardBits, notZstd } from './bits.ts';

const MIN_LOG = 5;

/** A distribution of codes: how many of the 2^log states each has; -1 for one state of low probability. */
export interface Distribution {
  readonly log: number;
  readonly counts: Int16Array;
}

export interface DescribedDistribution extends Distribution {
  /** Where its description ends. */
  readonly end: number;
}

/** Reads the description of a distribution of codes 0 to `maxCode`. @throws OsupdError `unsupported` */
export function readDistribution(
  bytes: Uint8Array,
  start: number,
  end: number,
  maxLog: number,
  maxCode: number,
): DescribedDistribution {
  const bits = new ForwardBits(bytes, start, end);
  const log = bits.peek(4) + MIN_LOG;
  bits.skip(4);
  if (log > maxLog) throw notZstd('a table that is too large');
  const counts = new Int16Array(maxCode + 1);
  let remaining = (1 << log) + 1;
  let code = 0;
  while (remaining > 1) {
    if (code > maxCode) throw notZstd('a table of too many codes');
    const width = 32 - Math.clz32(remaining);
    const short = (1 << width) - 1 - remaining;
    // Numbers that are small enough take one bit less.
    let value = bits.peek(width - 1);
    if (value < short) bits.skip(width - 1);
    else {
      value = bits.peek(width);
      if (value >= 1 << (width - 1)) value -= short;
      bits.skip(width);
    }
    const count = value - 1;
    counts[code++] = count;
    remaining -= count < 0 ? 1 : count;
    if (count !== 0) continue;
    for (;;) {
      const zeros = bits.peek(2);
      bits.skip(2);
      code += zeros;
      if (code > maxCode) throw notZstd('a table of too many codes');
      if (zeros < 3) break;
    }
  }
  if (remaining < 1) throw notZstd('a table whose probabilities are above one');
  return { log, counts: counts.subarray(0, code), end: bits.position };
}

/** Writes the description of a distribution; its last count must not be zero. */
export function writeDistribution(bits: BitWriter, { log, counts }: Distribution): void {
  bits.add(log - MIN_LOG, 4);
  let remaining = (1 << log) + 1;
  for (let code = 0; remaining > 1 && code < counts.length; ) {
    const count = counts[code++]!;
    const width = 32 - Math.clz32(remaining);
    const short = (1 << width) - 1 - remaining;
    const value = count + 1;
    if (value < short) bits.add(value, width - 1);
    else bits.add(value >= 1 << (width - 1) ? value + short : value, width);
    remaining -= count < 0 ? 1 : count;
    if (count !== 0) continue;
    let zeros = 0;
    while (code < counts.length && counts[code] === 0) {
      zeros++;
      code++;
    }
    for (; zeros >= 3; zeros -= 3) bits.add(3, 2);
    bits.add(zeros, 2);
  }
}

/** Which code each state stands for. */
function spread({ log, counts }: Distribution): Uint8Array {
  const size = 1 << log;
  const codes = new Uint8Array(size);
  let high = size;
  for (let code = 0; code < counts.length; code++) if (counts[code]! < 0) codes[--high] = code;
  const step = (size >>> 1) + (size >>> 3) + 3;
  let at = 0;
  for (let code = 0; code < counts.length; code++) {
    for (let count = counts[code]!; count > 0; count--) {
      codes[at] = code;
      do at = (at + step) & (size - 1);
      while (at >= high);
    }
  }
  return codes;
}

/** What a decoder looks up by its state. */
export interface DecodingTable {
  readonly log: number;
  readonly codes: Uint8Array;
  /** Bits that the next state takes, and what they are added to. */
  readonly bits: Uint8Array;
  readonly bases: Uint16Array;
}

export function decodingTable(distribution: Distribution): DecodingTable {
  const { log, counts } = distribution;
  const codes = spread(distribution);
  const bits = new Uint8Array(codes.length);
  const bases = new Uint16Array(codes.length);
  const next = Int32Array.from(counts, (count) => Math.abs(count));
  for (let state = 0; state < codes.length; state++) {
    const number = next[codes[state]!]!++;
    const width = log - (31 - Math.clz32(number));
    bits[state] = width;
    bases[state] = (number << width) - codes.length;
  }
  return { log, codes, bits, bases };
}

/** The table of a column with one code only. */
export function singleDecodingTable(code: number): DecodingTable {
  return { log: 0, codes: Uint8Array.of(code), bits: new Uint8Array(1), bases: new Uint16Array(1) };
}

/** What an encoder looks up: by a code how its state changes, by that the state. */
export class EncodingTable {
  readonly log: number;
  readonly counts: Int16Array;
  /** Added to the state (from size to 2 * size - 1) it gives, above bit 16, the bits to write. */
  readonly bits: Int32Array;
  /** Added to what is left of the state it gives the index of the next one. */
  readonly offsets: Int32Array;
  readonly states: Uint16Array;

  constructor(distribution: Distribution) {
    const { log, counts } = distribution;
    const size = 1 << log;
    const codes = spread(distribution);
    const starts = new Int32Array(counts.length);
    this.bits = new Int32Array(counts.length);
    this.offsets = new Int32Array(counts.length);
    let total = 0;
    for (let code = 0; code < counts.length; code++) {
      const count = Math.abs(counts[code]!);
      starts[code] = total;
      if (count === 1) {
        this.bits[code] = (log << 16) - size;
        this.offsets[code] = total - 1;
      } else if (count > 1) {
        const width = log - (31 - Math.clz32(count - 1));
        this.bits[code] = (width << 16) - (count << width);
        this.offsets[code] = total - count;
      } else this.bits[code] = ((log + 1) << 16) - size;
      total += count;
    }
    this.states = new Uint16Array(size);
    for (let state = 0; state < size; state++) this.states[starts[codes[state]!]!++] = size + state;
    this.log = log;
    this.counts = counts;
  }

  /** The state that the last code of a stream leaves for the one before it: the one that costs least. */
  firstState(code: number): number {
    const bits = this.bits[code]!;
    const width = (bits + (1 << 15)) >>> 16;
    const state = (width << 16) - bits;
    return this.states[(state >> width) + this.offsets[code]!]!;
  }

  /** Whether every code up to `maxCode` that occurs can be coded. */
  codes(code: number): boolean {
    return code < this.counts.length && this.counts[code] !== 0;
  }
}

/** The table of a column with one code only, which takes no bits: state 1 stays. */
export function singleEncodingTable(code: number): EncodingTable {
  const counts = new Int16Array(code + 1);
  counts[code] = 1;
  return new EncodingTable({ log: 0, counts });
}
