/**
 * A binary arithmetic coder (a range coder with carry, as in LZMA, with a range of 31 bits so that its state stays in small integers).
 * Probabilities have 16 bits. Encoder and decoder have the same face, so that a model is written once and runs in both.
 */
import { damagedDelta } from '../damage.ts';

/** Bits of a probability. */
const PROBABILITY_BITS = 16;

/** What a model codes with. */
export interface BitCoder {
  /**
   * Codes one bit; a decoder does not look at `bit`.
   * @param one probability that the bit is 1, in 1/65536, from 1 to 65535.
   * @returns the bit.
   */
  code(one: number, bit: number): number;
  /** Codes a byte of which nothing is foretold; a decoder does not look at `byte`. */
  codeByte(byte: number): number;
}

const FULL_RANGE = 0x7fffffff;
const MIN_RANGE = 1 << 23;

/** Bytes of the state: the most that an encoder leaves off at the end because they are zero. */
const STATE_BYTES = 4;

const FIRST_BYTES = 1 << 12;

/** The number with the most zero bits at its end of `range` from `low` on: zero bytes at the end are not stored. */
function roundest(low: number, range: number): number {
  const top = low + range - 1;
  for (let bits = 31; bits > 0; bits--) {
    const unit = 2 ** bits;
    const rounded = Math.ceil(low / unit) * unit;
    if (rounded <= top) return rounded;
  }
  return low;
}

export class RangeEncoder implements BitCoder {
  #codedBits = 0;
  #bytes = new Uint8Array(FIRST_BYTES);
  #length = 0;
  #low = 0;
  #range = FULL_RANGE;

  code(one: number, bit: number): number {
    this.#codedBits++;
    const bound = Math.imul(this.#range >>> PROBABILITY_BITS, one);
    if (bit !== 0) {
      this.#range = bound;
    } else {
      this.#range -= bound;
      const low = this.#low + bound;
      if (low > 0xffffffff) this.#carry();
      this.#low = low >>> 0;
    }
    while (this.#range < MIN_RANGE) {
      this.#range <<= 8;
      this.#shift();
    }
    return bit;
  }

  codeByte(byte: number): number {
    this.#codedBits++;
    this.#range >>>= 8;
    const low = this.#low + Math.imul(this.#range, byte);
    if (low > 0xffffffff) this.#carry();
    this.#low = low >>> 0;
    while (this.#range < MIN_RANGE) {
      this.#range <<= 8;
      this.#shift();
    }
    return byte;
  }

  get codedBits(): number {
    return this.#codedBits;
  }

  /** All that was coded. The coder is of no use afterwards. */
  finish(): Uint8Array {
    const end = roundest(this.#low, this.#range);
    if (end > 0xffffffff) this.#carry();
    this.#low = end >>> 0;
    const least = this.#length;
    for (let count = 0; count < STATE_BYTES; count++) this.#shift();
    while (this.#length > least && this.#bytes[this.#length - 1] === 0) this.#length--;
    return this.#bytes.slice(0, this.#length);
  }

  #carry(): void {
    let at = this.#length - 1;
    while (this.#bytes[at] === 0xff) this.#bytes[at--] = 0;
    this.#bytes[at]!++;
  }

  #shift(): void {
    if (this.#length === this.#bytes.length) {
      const larger = new Uint8Array(2 * this.#length);
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    this.#bytes[this.#length++] = this.#low >>> 24;
    this.#low = (this.#low << 8) >>> 0;
  }
}

export class RangeDecoder implements BitCoder {
  readonly #stored: Uint8Array;
  readonly #what: string;
  #at = 0;
  #range = FULL_RANGE;
  #code = 0;

  /**
   * @param what the stored bytes are, for errors.
   * @throws OsupdError `damaged-delta`
   */
  constructor(stored: Uint8Array, what: string) {
    this.#stored = stored;
    this.#what = what;
    let first = 0;
    for (let count = 0; count < STATE_BYTES; count++) first = first * 256 + this.#next();
    if (first >= FULL_RANGE) throw damagedDelta(`the ${what} begin with bytes that no encoder makes`);
    this.#code = first;
  }

  /** Bytes that what was decoded so far takes, with parts of bytes. */
  get position(): number {
    return this.#at - STATE_BYTES + (31 - Math.log2(this.#range)) / 8;
  }

  /** @throws OsupdError `damaged-delta` at the end of the stored bytes. */
  code(one: number, _bit: number): number {
    const bound = Math.imul(this.#range >>> PROBABILITY_BITS, one);
    let bit = 1;
    if (this.#code < bound) {
      this.#range = bound;
    } else {
      this.#range -= bound;
      this.#code -= bound;
      bit = 0;
    }
    while (this.#range < MIN_RANGE) {
      this.#range <<= 8;
      this.#code = (this.#code << 8) | this.#next();
    }
    return bit;
  }

  /** @throws OsupdError `damaged-delta` at the end of the stored bytes. */
  codeByte(_byte: number): number {
    this.#range >>>= 8;
    const byte = Math.floor(this.#code / this.#range);
    if (byte > 255) throw damagedDelta(`the ${this.#what} hold what no encoder makes`);
    this.#code -= Math.imul(this.#range, byte);
    while (this.#range < MIN_RANGE) {
      this.#range <<= 8;
      this.#code = (this.#code << 8) | this.#next();
    }
    return byte;
  }

  /** @throws OsupdError `damaged-delta` where stored bytes are left over, or the last ones are not as the encoder makes them. */
  finish(): void {
    const stored = this.#stored;
    const { length } = stored;
    let last = 0;
    for (let at = this.#at - STATE_BYTES; at < this.#at; at++) last = last * 256 + (stored[at] ?? 0);
    const low = (last - this.#code) >>> 0;
    const isEnd = this.#at >= length && roundest(low, this.#range) >>> 0 === last;
    const hasZeros = length > this.#at - STATE_BYTES && stored[length - 1] === 0;
    if (!isEnd || hasZeros) throw damagedDelta(`bytes follow the ${this.#what}`);
  }

  #next(): number {
    if (this.#at < this.#stored.length) return this.#stored[this.#at++]!;
    // Zeros at the end are not stored.
    if (++this.#at > this.#stored.length + STATE_BYTES) throw damagedDelta(`the ${this.#what} end too early`);
    return 0;
  }
}
