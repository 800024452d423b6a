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
  readonly #next: Uint8Array;
  readonly #long = new Guesses();
  readonly #short = new Guesses();
  readonly #alone: Uint8Array;

  constructor(next: Uint8Array) {
    this.#next = next;
    this.#alone = costsAlone(next);
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

/** What each value costs by how often the file has it, but never nothing: literals are not as the whole file is. */
function costsAlone(bytes: Uint8Array): Uint8Array {
  const counts = new Uint32Array(256);
  for (let at = 0; at < bytes.length; at++) counts[bytes[at]!]!++;
  const total = bytes.length + 256 * 4;
  return Uint8Array.from(counts, (count) =>
    Math.min(112, Math.max(40, Math.log2(total / (count + 4)) * COST_UNIT * 0.9)),
  );
}
