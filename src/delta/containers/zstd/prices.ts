/** What zstd's optimal strategies think a sequence costs, in 1/256 of a bit, by what came before (the source of versions 1.5 is the reference). */
import {
  LITERAL_LENGTH_BITS,
  literalLengthCode,
  MATCH_LENGTH_BITS,
  MAX_BLOCK_BYTES,
  MIN_MATCH,
  matchLengthCode,
} from './format.ts';

const BIT = 256;
const SYMBOLS = 256;

/** A literal counts so much, a code one. */
const LITERAL_WEIGHT = 2;

/** Blocks of so few bytes are priced without statistics. */
const PREDEFINED_BYTES = 8;

const FIRST_LITERAL_SHIFT = 8;
const LITERALS_LOG = 12;
const CODES_LOG = 11;

/** Offset codes from here on are made dearer where decoding should be fast. */
const FAR_OFFSET_CODE = 20;

const FIRST_OFFSETS = [6, 2, 1, 1, 2, 3, 4, 4, 4, 3, 2];
const FIRST_LITERAL_LENGTHS = [4, 2];

export class Prices {
  /** Whether fractions of bits count, and far offsets are not made dearer. */
  readonly #isExact: boolean;
  readonly #codesLiterals: boolean;
  readonly #literals = new Uint32Array(SYMBOLS);
  readonly #lengths = new Uint32Array(LITERAL_LENGTH_BITS.length);
  readonly #matches = new Uint32Array(MATCH_LENGTH_BITS.length);
  readonly #offsets = new Uint32Array(32);
  #literalSum = 0;
  #lengthSum = 0;
  #matchSum = 0;
  #offsetSum = 0;
  #literalBase = 0;
  #lengthBase = 0;
  #matchBase = 0;
  #offsetBase = 0;
  #isPredefined = false;

  constructor(isExact: boolean, codesLiterals: boolean) {
    this.#isExact = isExact;
    this.#codesLiterals = codesLiterals;
  }

  /** True before the first block. */
  get isFresh(): boolean {
    return this.#lengthSum === 0;
  }

  reset(): void {
    this.#lengthSum = 0;
  }

  startBlock(bytes: Uint8Array, start: number, end: number): void {
    this.#isPredefined = this.isFresh && end - start <= PREDEFINED_BYTES;
    if (this.isFresh) {
      this.#literals.fill(0);
      for (let at = start; at < end; at++) this.#literals[bytes[at]!]!++;
      this.#literalSum = scaled(this.#literals, FIRST_LITERAL_SHIFT, 0);
      this.#lengths.fill(1).set(FIRST_LITERAL_LENGTHS);
      this.#matches.fill(1);
      this.#offsets.fill(1).set(FIRST_OFFSETS);
      this.#lengthSum = sum(this.#lengths);
      this.#matchSum = sum(this.#matches);
      this.#offsetSum = sum(this.#offsets);
    } else {
      this.#literalSum = limited(this.#literals, LITERALS_LOG);
      this.#lengthSum = limited(this.#lengths, CODES_LOG);
      this.#matchSum = limited(this.#matches, CODES_LOG);
      this.#offsetSum = limited(this.#offsets, CODES_LOG);
    }
    this.update();
  }

  /** Counts a sequence whose literals begin at `at`. */
  count(bytes: Uint8Array, at: number, literalLength: number, matchLength: number, offset: number): void {
    if (this.#codesLiterals) {
      for (let literal = at; literal < at + literalLength; literal++)
        this.#literals[bytes[literal]!]! += LITERAL_WEIGHT;
      this.#literalSum += literalLength * LITERAL_WEIGHT;
    }
    this.#lengths[literalLengthCode(literalLength)]!++;
    this.#lengthSum++;
    this.#offsets[31 - Math.clz32(offset)]!++;
    this.#offsetSum++;
    this.#matches[matchLengthCode(matchLength)]!++;
    this.#matchSum++;
  }

  /** Takes what was counted into the prices that all have in common. */
  update(): void {
    this.#literalBase = this.#weight(this.#literalSum);
    this.#lengthBase = this.#weight(this.#lengthSum);
    this.#matchBase = this.#weight(this.#matchSum);
    this.#offsetBase = this.#weight(this.#offsetSum);
  }

  /** Logarithm of how often something came. */
  #weight(count: number): number {
    const log = 31 - Math.clz32(count + 1);
    return this.#isExact ? log * BIT + (((count + 1) << 8) >>> log) : log * BIT;
  }

  ofLiteral(literal: number): number {
    if (!this.#codesLiterals) return 8 * BIT;
    if (this.#isPredefined) return 6 * BIT;
    return this.#literalBase - Math.min(this.#weight(this.#literals[literal]!), this.#literalBase - BIT);
  }

  ofLiteralLength(length: number): number {
    if (this.#isPredefined) return this.#weight(length);
    if (length === MAX_BLOCK_BYTES) return BIT + this.ofLiteralLength(length - 1);
    const code = literalLengthCode(length);
    return LITERAL_LENGTH_BITS[code]! * BIT + this.#lengthBase - this.#weight(this.#lengths[code]!);
  }

  /** Price of an offset, as the format counts: that of a match less the one of its length. */
  ofOffset(offset: number): number {
    const code = 31 - Math.clz32(offset);
    if (this.#isPredefined) return (16 + code) * BIT;
    const far = this.#isExact || code < FAR_OFFSET_CODE ? 0 : (code - FAR_OFFSET_CODE + 1) * 2 * BIT;
    return code * BIT + this.#offsetBase - this.#weight(this.#offsets[code]!) + far;
  }

  /** Price of a match's length; a fifth of a bit is on top, so that there are fewer sequences. */
  ofMatchLength(length: number): number {
    if (this.#isPredefined) return this.#weight(length - MIN_MATCH);
    const code = matchLengthCode(length);
    return MATCH_LENGTH_BITS[code]! * BIT + this.#matchBase - this.#weight(this.#matches[code]!) + Math.floor(BIT / 5);
  }
}

function sum(counts: Uint32Array): number {
  let total = 0;
  for (const count of counts) total += count;
  return total;
}

/** Makes counts smaller; those that were at all, or all with `least` 1, do not vanish. @returns their sum. */
function scaled(counts: Uint32Array, shift: number, least: 0 | 1): number {
  let total = 0;
  for (let at = 0; at < counts.length; at++) {
    const count = counts[at]!;
    counts[at] = (least === 1 || count > 0 ? 1 : 0) + (count >>> shift);
    total += counts[at]!;
  }
  return total;
}

/** Makes counts smaller whose sum is far above a power of two. @returns their sum. */
function limited(counts: Uint32Array, log: number): number {
  const total = sum(counts);
  const factor = total >>> log;
  return factor <= 1 ? total : scaled(counts, 31 - Math.clz32(factor), 1);
}
