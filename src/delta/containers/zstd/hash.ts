/** Hashes of the bytes at a place, as zstd's encoder makes them: the top bits of a product of 64 bits with a prime. */

/** Prime of four bytes. */
const PRIME4 = 0x9e3779b1;
const PRIME3 = 506832829;

const WORD = 4;

/** Primes of 5 to 8 bytes: their low and high 32 bits. */
const PRIME5 = 889523592379n;
const PRIME6 = 227718039650203n;
const PRIME7 = 58295818150454627n;
const PRIME8 = 0xcf1bbcdcb7a56463n;
const PRIMES = [PRIME5, PRIME6, PRIME7, PRIME8];

/** Content with a view that reads words of it at once: several times as fast as byte by byte. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Hash of three bytes. */
export function hash3(content: DataView, at: number, bits: number): number {
  return Math.imul(content.getInt32(at, true) << 8, PRIME3) >>> (32 - bits);
}

/** The high 32 bits of the product of two numbers of 32 bits. */
function highProduct(a: number, b: number): number {
  const a0 = a & 0xffff;
  const a1 = a >>> 16;
  const b0 = b & 0xffff;
  const b1 = b >>> 16;
  const middle = Math.imul(a1, b0) + (Math.imul(a0, b0) >>> 16);
  const carried = (middle & 0xffff) + Math.imul(a0, b1);
  return (Math.imul(a1, b1) + (middle >>> 16) + (carried >>> 16)) | 0;
}

/** Hashes of so many bytes, 4 to 8, as numbers of `bits` bits, up to 32. */
export class Hasher {
  readonly length: number;
  readonly #shift: number;
  readonly #primeLow: number;
  readonly #primeHigh: number;
  /** Bits of the last bytes, above the first four, that do not take part. */
  readonly #unused: number;

  constructor(length: number, bits: number) {
    this.length = length;
    this.#shift = 32 - bits;
    const prime = length <= 4 ? 0n : PRIMES[length - 5]!;
    this.#primeLow = Number(prime & 0xffffffffn) | 0;
    this.#primeHigh = Number(prime >> 32n) | 0;
    this.#unused = 8 * (8 - length);
  }

  of(content: DataView, at: number): number {
    const low = content.getInt32(at, true);
    if (this.length === 4) return Math.imul(low, PRIME4) >>> this.#shift;
    return this.#long(low, content, at);
  }

  #long(low: number, content: DataView, at: number): number {
    const unused = this.#unused;
    const rest = content.getInt32(at + 4, true);
    // The bytes as a number of 64 bits, moved up so that what does not take part falls off.
    const high = unused === 0 ? rest : (rest << unused) | (low >>> (32 - unused));
    const moved = low << unused;
    const top =
      (highProduct(moved, this.#primeLow) + Math.imul(high, this.#primeLow) + Math.imul(moved, this.#primeHigh)) | 0;
    return top >>> this.#shift;
  }
}

/** How many bytes at two places are the same, up to where the later one reaches `end`. */
export function commonLength(content: DataView, later: number, earlier: number, end: number): number {
  let at = later;
  let from = earlier;
  for (const last = end - WORD; at <= last; at += WORD, from += WORD) {
    const difference = content.getInt32(at, true) ^ content.getInt32(from, true);
    // The lowest byte that differs is the first one.
    if (difference !== 0) return at - later + ((31 - Math.clz32(difference & -difference)) >>> 3);
  }
  while (at < end && content.getUint8(at) === content.getUint8(from)) {
    at++;
    from++;
  }
  return at - later;
}
