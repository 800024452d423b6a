/**
 * What bytes would cost as literals: cheap where the same bytes came before, as tables and strings have them. Only bytes that may become
 * literals are given, so that it is not the whole file that foretells them.
 */

/** Costs are in sixteenths of a bit. */
export const COST_UNIT = 16;

const TABLE_BITS = 14;
const MOST_TRUST = 7;
/** A byte that followed the last four bytes before, by how often in a row. */
const LONG_HITS = [56, 36, 22, 14, 10, 8, 6, 5];
/** The same for the last two bytes. */
const SHORT_HITS = [80, 64, 48, 36, 28, 24, 20, 16];
/** Bits a byte, of files that are compressed already: only long equal blocks are worth looking for there. */
const NOISE_BITS = 7.8;
/** Files that are large enough to tell. */
const LEAST_NOISE_BYTES = 4096;

/** Bounds of what a byte costs by how often the file has it. */
const LEAST_ALONE = 40;
const MOST_ALONE = 112;

/** What a wrong guess costs above what the byte costs alone. */
const MISS = 8;

/** A byte foretold by a hash of what came before it: its value, and how often in a row it was right. */
class Guesses {
  readonly #bytes = new Uint8Array(1 << TABLE_BITS);
  readonly #trust = new Uint8Array(1 << TABLE_BITS);

  /** Its trust if it foretells the byte, -1 if not; learns from it. */
  check(context: number, byte: number): number {
    const slot = Math.imul(context, 0x9e3779b1) >>> (32 - TABLE_BITS);
    const trust = this.#trust[slot]!;
    if (trust > 0 && this.#bytes[slot] === byte) {
      if (trust < MOST_TRUST) this.#trust[slot] = trust + 1;
      return trust;
    }
    this.#bytes[slot] = byte;
    this.#trust[slot] = 1;
    return -1;
  }
}

export class LiteralCosts {
  /** Of each byte of the new file, in units of 1 / COST_UNIT bits. */
  readonly costs: Uint8Array;
  readonly isNoise: boolean;
  readonly #next: Uint8Array;
  readonly #long = new Guesses();
  readonly #short = new Guesses();
  readonly #alone: Uint8Array;

  constructor(next: Uint8Array) {
    this.#next = next;
    const counts = new Uint32Array(256);
    for (let at = 0; at < next.length; at++) counts[next[at]!]!++;
    const bits = Array.from(counts, (count) => Math.log2((next.length + 4 * 256) / (count + 4)));
    const sum = bits.reduce((total, cost, byte) => total + cost * counts[byte]!, 0);
    this.isNoise = next.length >= LEAST_NOISE_BYTES && sum > NOISE_BITS * next.length;
    // Literals are not as the whole file is: none costs next to nothing.
    this.#alone = Uint8Array.from(bits, (cost) => Math.min(MOST_ALONE, Math.max(LEAST_ALONE, cost * 0.9 * COST_UNIT)));
    this.costs = new Uint8Array(next.length);
    for (let at = 0; at < next.length; at++) this.costs[at] = this.#alone[next[at]!]!;
  }

  /** Says that the byte at an offset may become a literal. Offsets rise. */
  expect(at: number): void {
    const next = this.#next;
    const byte = next[at]!;
    const near = at < 2 ? 0 : (next[at - 1]! << 8) | next[at - 2]!;
    const far = at < 4 ? 0 : (next[at - 3]! << 8) | next[at - 4]!;
    const long = this.#long.check((near << 16) | far, byte);
    const short = this.#short.check(near, byte);
    let cost = this.#alone[byte]!;
    if (long >= 0) cost = Math.min(cost, LONG_HITS[long]!);
    else if (short >= 0) cost = Math.min(cost, SHORT_HITS[short]!);
    else cost += MISS;
    this.costs[at] = cost;
  }
}
