/** The form that zstd's encoder gives the literals of a block (the source of version 1.5.4 is the reference). */
import type { LiteralsForm } from './decisions.ts';
import { LITERALS_COMPRESSED, LITERALS_RAW, LITERALS_RLE, LITERALS_TREELESS, MAX_HUFFMAN_BITS } from './format.ts';
import { HuffmanBuilder } from './huffman-build.ts';
import { describeHuffmanTable, type HuffmanTable } from './huffman-table.ts';
import { fittingLog } from './normalize.ts';
import { BTULTRA, LAZY, minGain } from './parameters.ts';

const SYMBOLS = 256;

/** Literals so many times as many as sequences are looked at in samples first. */
const SUSPECT_RATIO = 20;
const SAMPLE = 4096;
const SUSPECT_COUNT = 10 * SAMPLE;

/** Bytes beside the description that a new table must win. */
const DESCRIPTION_MARGIN = 12;

export class LiteralsPredictor {
  readonly #builder = new HuffmanBuilder();
  readonly #histogram = new Uint32Array(SYMBOLS);

  /**
   * @param previous the table of an earlier block that could serve again.
   * @param strategy of the encoder. @param coded whether it codes literals at all.
   */
  predict(
    literals: Uint8Array,
    count: number,
    sequenceCount: number,
    previous: HuffmanTable | undefined,
    strategy: number,
    coded: boolean,
  ): LiteralsForm {
    const plain = plainForm(LITERALS_RAW, count);
    if (!coded || count < 8 << Math.min(9 - strategy, 3)) return plain;
    if (count >= SUSPECT_COUNT && (sequenceCount === 0 || Math.floor(count / sequenceCount) >= SUSPECT_RATIO)) {
      const most = this.#most(literals, 0, SAMPLE) + this.#most(literals, count - SAMPLE, count);
      if (most <= ((2 * SAMPLE) >> 7) + 4) return plain;
    }
    const most = this.#most(literals, 0, count);
    if (most === count) return plainForm(LITERALS_RLE, count);
    if (most <= (count >> 7) + 4) return plain;
    const histogram = this.#histogram;
    let maxSymbol = SYMBOLS - 1;
    while (histogram[maxSymbol] === 0) maxSymbol--;
    const usable = previous !== undefined && covers(previous, histogram) ? previous : undefined;
    let table = usable;
    let description: Uint8Array | undefined;
    if (usable === undefined || strategy >= LAZY || count > 1024) {
      const limit =
        strategy >= BTULTRA ? this.#bestLimit(maxSymbol) : fittingLog(MAX_HUFFMAN_BITS, count, maxSymbol, 1);
      const fresh = this.#builder.build(histogram, maxSymbol, limit);
      description = describeHuffmanTable(fresh);
      if (description === undefined) return plain;
      const isDear = description.length + DESCRIPTION_MARGIN >= count;
      const keeps =
        usable !== undefined &&
        (isDear || estimate(usable, histogram) <= description.length + estimate(fresh, histogram));
      if (keeps) description = undefined;
      else if (isDear) return plain;
      else table = fresh;
    }
    const size = (description?.length ?? 0) + codedSize(literals, count, table!, count < 256);
    if (size === 0 || size >= count - 1 || size >= count - minGain(count, strategy)) return plain;
    return {
      mode: description === undefined ? LITERALS_TREELESS : LITERALS_COMPRESSED,
      sizeFormat: count < 256 ? 0 : count < 1 << 10 ? 1 : count < 1 << 14 ? 2 : 3,
      description,
    };
  }

  /** Counts symbols. @returns how often the most frequent one occurs. */
  #most(literals: Uint8Array, from: number, to: number): number {
    const histogram = this.#histogram.fill(0);
    for (let at = from; at < to; at++) histogram[literals[at]!]!++;
    let most = 0;
    for (let symbol = 0; symbol < SYMBOLS; symbol++) if (histogram[symbol]! > most) most = histogram[symbol]!;
    return most;
  }

  /** The limit of code lengths that comes to the fewest bytes, as far as is looked. */
  #bestLimit(maxSymbol: number): number {
    const histogram = this.#histogram;
    let cardinality = 0;
    for (const count of histogram) if (count !== 0) cardinality++;
    const least = 32 - Math.clz32(cardinality);
    let best = MAX_HUFFMAN_BITS;
    let bestSize = Number.POSITIVE_INFINITY;
    for (let limit = least; limit <= MAX_HUFFMAN_BITS; limit++) {
      const table = this.#builder.build(histogram, maxSymbol, limit);
      if (table.maxBits < limit && limit > least) break;
      const description = describeHuffmanTable(table);
      if (description === undefined) continue;
      const size = estimate(table, histogram) + description.length;
      if (size > bestSize + 1) break;
      if (size < bestSize) {
        bestSize = size;
        best = limit;
      }
    }
    return best;
  }
}

function plainForm(mode: number, count: number): LiteralsForm {
  return { mode, sizeFormat: count > 4095 ? 3 : count > 31 ? 1 : 0, description: undefined };
}

function covers({ lengths }: HuffmanTable, histogram: Uint32Array): boolean {
  for (let symbol = 0; symbol < SYMBOLS; symbol++) if (histogram[symbol] !== 0 && lengths[symbol] === 0) return false;
  return true;
}

function estimate({ lengths }: HuffmanTable, histogram: Uint32Array): number {
  let bits = 0;
  for (let symbol = 0; symbol < SYMBOLS; symbol++) bits += lengths[symbol]! * histogram[symbol]!;
  return bits >>> 3;
}

/** Bytes of the streams; zero where the encoder gives up. */
function codedSize(literals: Uint8Array, count: number, { lengths }: HuffmanTable, isSingle: boolean): number {
  if (!isSingle && count < 12) return 0;
  const each = isSingle ? count : (count + 3) >> 2;
  let size = isSingle ? 0 : 6;
  for (let from = 0; from < count; from += each) {
    let bits = 1;
    for (let at = from, to = Math.min(from + each, count); at < to; at++) bits += lengths[literals[at]!]!;
    size += (bits + 7) >> 3;
  }
  return size;
}
