/**
 * Sequences as zstd's optimal strategies choose them (levels 16 to 22; the source of versions 1.5.0 to 1.5.5 is the reference): the cheapest way to
 * a place some thousand bytes ahead, by prices that follow what was chosen before.
 */
import { FIRST_INDEX } from './match-finder.ts';
import type { OffsetHistory } from './offset-history.ts';
import { MAX_PLACES, OptimalMatches } from './optimal-matches.ts';
import { BTULTRA, BTULTRA2, type Parameters } from './parameters.ts';
import { Prices } from './prices.ts';
import type { SequencePredictor } from './sequence-predictor.ts';

/** Bytes before the end of a block where matches are not looked for. */
const MARGIN = 8;
const IMPOSSIBLE = 1 << 30;
const HALF_BIT = 128;

/** Blocks above this are gone through twice at the begin. */
const TWICE_BYTES = 8;

export class OptimalPredictor implements SequencePredictor {
  literalLength = 0;
  matchLength = 0;
  offset = 0;
  readonly #matches: OptimalMatches;
  readonly #prices: Prices;
  readonly #isExact: boolean;
  readonly #isTwice: boolean;
  readonly #windowSize: number;
  /** Best way to each place, from where a series of sequences begins: its price, last match (length, offset), literals before that. */
  readonly #price = new Int32Array(MAX_PLACES + 2);
  readonly #match = new Int32Array(MAX_PLACES + 2);
  readonly #offset = new Int32Array(MAX_PLACES + 2);
  readonly #literals = new Int32Array(MAX_PLACES + 2);
  /** Offsets that it leaves. */
  readonly #first = new Int32Array(MAX_PLACES + 2);
  readonly #second = new Int32Array(MAX_PLACES + 2);
  readonly #third = new Int32Array(MAX_PLACES + 2);
  /** Sequences of the series, the last one first, of which so many are left. */
  readonly #series = new Int32Array(3 * (MAX_PLACES + 2));
  #seriesLeft = 0;
  #bytes: Uint8Array = new Uint8Array(0);
  #at = 0;
  #anchor = 0;
  #limit = 0;
  #known = FIRST_INDEX;
  #start = 0;
  #isCounted = true;
  #repeatFirst = 0;
  #repeatSecond = 0;
  #repeatThird = 0;

  constructor(parameters: Parameters, codesLiterals: boolean) {
    this.#isExact = parameters.strategy >= BTULTRA;
    this.#isTwice = parameters.strategy === BTULTRA2;
    this.#windowSize = 2 ** parameters.windowLog;
    this.#matches = new OptimalMatches(parameters);
    this.#prices = new Prices(this.#isExact, codesLiterals);
  }

  load(bytes: Uint8Array, end: number): void {
    this.#known = end;
    this.#prices.reset();
    this.#matches.load(bytes, end);
    this.#isCounted = true;
    this.#seriesLeft = 0;
  }

  startBlock(bytes: Uint8Array, start: number, end: number, offsets: OffsetHistory): void {
    this.#countLast();
    const isAlone = start === FIRST_INDEX && this.#known === FIRST_INDEX;
    if (this.#isTwice && isAlone && this.#prices.isFresh && end - start > TWICE_BYTES) {
      this.#begin(bytes, start, end, offsets);
      while (this.next());
      this.#matches.load(bytes, FIRST_INDEX);
    }
    this.#begin(bytes, start, end, offsets);
  }

  #begin(bytes: Uint8Array, start: number, end: number, offsets: OffsetHistory): void {
    this.#bytes = bytes;
    this.#start = start;
    this.#anchor = start;
    this.#limit = end - MARGIN;
    this.#seriesLeft = 0;
    this.#isCounted = true;
    this.#at = start === Math.max(FIRST_INDEX, start - this.#windowSize) ? start + 1 : start;
    this.#matches.startBlock(bytes, start, end);
    this.#prices.startBlock(bytes, start, end);
    this.#takeOffsets(offsets);
  }

  correct(end: number, offsets: OffsetHistory, literalLength: number, matchLength: number, offset: number): void {
    if (matchLength > 0) {
      const start = end - matchLength - literalLength;
      this.#prices.count(this.#bytes, start, literalLength, matchLength, offset);
    }
    this.#prices.update();
    this.#isCounted = true;
    this.#seriesLeft = 0;
    this.#at = end;
    this.#anchor = end;
    this.#takeOffsets(offsets);
  }

  move(by: number): void {
    this.#matches.move(by);
    this.#known = FIRST_INDEX + 1;
    this.#anchor -= by;
  }

  next(): boolean {
    this.#countLast();
    if (this.#seriesLeft === 0) {
      this.#prices.update();
      while (this.#at < this.#limit && this.#seriesLeft === 0) this.#look();
      if (this.#seriesLeft === 0) return false;
    }
    const at = 3 * --this.#seriesLeft;
    this.literalLength = this.#series[at]!;
    this.matchLength = this.#series[at + 1]!;
    this.offset = this.#series[at + 2]!;
    this.#start = this.#anchor;
    this.#anchor += this.literalLength + this.matchLength;
    if (this.#seriesLeft === 0) this.#at = Math.max(this.#at, this.#anchor);
    this.#isCounted = false;
    return true;
  }

  /** The sequence that was foretold last was right, as nothing else was said. */
  #countLast(): void {
    if (this.#isCounted) return;
    this.#isCounted = true;
    this.#prices.count(this.#bytes, this.#start, this.literalLength, this.matchLength, this.offset);
  }

  #takeOffsets({ first, second, third }: OffsetHistory): void {
    this.#repeatFirst = first;
    this.#repeatSecond = second;
    this.#repeatThird = third;
  }

  /** Goes on by a place, or finds a series of sequences. */
  #look(): void {
    const matches = this.#matches;
    const literals = this.#at - this.#anchor;
    const found = matches.find(this.#at, this.#repeatFirst, this.#repeatSecond, this.#repeatThird, literals === 0);
    if (found === 0) {
      this.#at++;
      return;
    }
    this.#first[0] = this.#repeatFirst;
    this.#second[0] = this.#repeatSecond;
    this.#third[0] = this.#repeatThird;
    this.#match[0] = 0;
    this.#literals[0] = literals;
    this.#price[0] = this.#prices.ofLiteralLength(literals);
    if (matches.lengths[found - 1]! > matches.sufficient) {
      this.#finish(0, literals, matches.lengths[found - 1]!, matches.offsets[found - 1]!);
      return;
    }
    this.#goOn(this.#priceFirst(found, literals));
  }

  /** Prices of the matches at the begin. @returns the last place that has one. */
  #priceFirst(found: number, literals: number): number {
    const { lengths, offsets, minMatch } = this.#matches;
    const prices = this.#prices;
    const base = this.#price[0]! + prices.ofLiteralLength(0);
    let place = 1;
    for (; place < minMatch; place++) this.#price[place] = IMPOSSIBLE;
    for (let match = 0; match < found; match++) {
      const offset = offsets[match]!;
      const offsetPrice = base + prices.ofOffset(offset);
      for (; place <= lengths[match]!; place++) {
        this.#match[place] = place;
        this.#offset[place] = offset;
        this.#literals[place] = literals;
        this.#price[place] = offsetPrice + prices.ofMatchLength(place);
      }
    }
    return place - 1;
  }

  /** Looks at further places, as long as there is a way to one. */
  #goOn(priced: number): void {
    const matches = this.#matches;
    const prices = this.#prices;
    const price = this.#price;
    const start = this.#at;
    let last = priced;
    const zeroLength = prices.ofLiteralLength(0);
    for (let place = 1; place <= last; place++) {
      this.#tryLiteral(place);
      this.#leaveOffsets(place);
      const at = start + place;
      if (at > this.#limit) continue;
      if (place === last) break;
      if (!this.#isExact && price[place + 1]! <= price[place]! + HALF_BIT) continue;
      const isLiteral = this.#match[place] === 0;
      const literals = isLiteral ? this.#literals[place]! : 0;
      const base = price[place]! + zeroLength;
      const found = matches.find(at, this.#first[place]!, this.#second[place]!, this.#third[place]!, !isLiteral);
      if (found === 0) continue;
      const longest = matches.lengths[found - 1]!;
      if (longest > matches.sufficient || place + longest >= MAX_PLACES) {
        // The literals before belong to this match; the way ends with the match before them.
        const before = isLiteral ? Math.max(0, place - this.#literals[place]!) : place;
        this.#finish(before, literals, longest, matches.offsets[found - 1]!);
        return;
      }
      last = this.#priceMatches(place, found, base, literals, last);
    }
    const total = this.#literals[last]! + this.#match[last]!;
    const before = last > total ? last - total : 0;
    this.#finish(before, this.#literals[last]!, this.#match[last]!, this.#offset[last]!);
  }

  /** One literal more, where it is as cheap. */
  #tryLiteral(place: number): void {
    const price = this.#price;
    const prices = this.#prices;
    const literals = this.#match[place - 1] === 0 ? this.#literals[place - 1]! + 1 : 1;
    const cost =
      price[place - 1]! +
      prices.ofLiteral(this.#bytes[this.#at + place - 1]!) +
      prices.ofLiteralLength(literals) -
      prices.ofLiteralLength(literals - 1);
    if (cost > price[place]!) return;
    this.#match[place] = 0;
    this.#offset[place] = 0;
    this.#literals[place] = literals;
    price[place] = cost;
  }

  #leaveOffsets(place: number): void {
    const length = this.#match[place]!;
    if (length === 0) {
      this.#first[place] = this.#first[place - 1]!;
      this.#second[place] = this.#second[place - 1]!;
      this.#third[place] = this.#third[place - 1]!;
    } else this.#repeat(place, place - length, this.#offset[place]!, this.#literals[place]!);
  }

  /** Offsets at a place, after a match with an offset from another place. */
  #repeat(place: number, from: number, offset: number, literals: number): void {
    const first = this.#first[from]!;
    const second = this.#second[from]!;
    const third = this.#third[from]!;
    let taken = offset - 3;
    let which = 4;
    if (offset <= 3) {
      which = literals === 0 ? offset + 1 : offset;
      taken = which === 1 ? first : which === 2 ? second : which === 3 ? third : first - 1;
    }
    this.#first[place] = taken;
    this.#second[place] = which === 1 ? second : first;
    this.#third[place] = which >= 3 ? second : third;
  }

  /** Prices of matches at a place, the longest lengths first. @returns the last place that has a price. */
  #priceMatches(place: number, found: number, base: number, literals: number, priced: number): number {
    const { lengths, offsets, minMatch } = this.#matches;
    const prices = this.#prices;
    const price = this.#price;
    let last = priced;
    for (let match = 0; match < found; match++) {
      const offset = offsets[match]!;
      const offsetPrice = base + prices.ofOffset(offset);
      const shortest = match > 0 ? lengths[match - 1]! + 1 : minMatch;
      for (let length = lengths[match]!; length >= shortest; length--) {
        const to = place + length;
        const cost = offsetPrice + prices.ofMatchLength(length);
        if (to > last || cost < price[to]!) {
          while (last < to) price[++last] = IMPOSSIBLE;
          this.#match[to] = length;
          this.#offset[to] = offset;
          this.#literals[to] = literals;
          price[to] = cost;
        } else if (!this.#isExact) break;
      }
    }
    return last;
  }

  /** The series ends with a sequence after the way to a place; without a match only literals are left, with which the next one begins. */
  #finish(before: number, literals: number, length: number, offset: number): void {
    const end = MAX_PLACES + 1;
    if (length > 0) this.#repeat(end, before, offset, literals);
    else this.#first[end] = this.#first[before]!;
    if (length === 0) {
      this.#second[end] = this.#second[before]!;
      this.#third[end] = this.#third[before]!;
    }
    this.#repeatFirst = this.#first[end]!;
    this.#repeatSecond = this.#second[end]!;
    this.#repeatThird = this.#third[end]!;
    let count = 0;
    let anchor = this.#anchor;
    const push = (literalLength: number, matchLength: number, value: number): void => {
      this.#series[3 * count] = literalLength;
      this.#series[3 * count + 1] = matchLength;
      this.#series[3 * count++ + 2] = value;
      anchor += literalLength + matchLength;
    };
    if (length > 0) push(literals, length, offset);
    for (let place = before; place > 0; ) {
      push(this.#literals[place]!, this.#match[place]!, this.#offset[place]!);
      place = Math.max(0, place - this.#literals[place]! - this.#match[place]!);
    }
    this.#seriesLeft = count;
    this.#at = length > 0 ? anchor : anchor + literals;
  }
}
