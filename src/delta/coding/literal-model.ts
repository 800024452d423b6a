/**
 * The model of literals. docs/formats/residual-coding.md describes it. Each byte is foretold by the last one, two and four bytes, by the two
 * before the last, by the fourth before it, and by what followed where the literals went the same way before. Blocks that nothing foretells
 * (signatures) are as they are.
 */
import { freeMemory } from '../../core/bytes.ts';
import { BitModels } from './bit-models.ts';
import { hash, Mixer, stepsOf } from './mixer.ts';
import type { BitCoder } from './range-coder.ts';
import { slotBitsFor } from './residual-model.ts';

/** Bytes before a literal that count as its context. */
const LITERAL_CONTEXT_BYTES = 8;

/** Literals that are long enough are cut in blocks, each of which may be as it is. */
const BLOCK_BYTES = 64;

/** Different bytes in a block of random ones: 56.6 on average. Text and code have far fewer. */
const RANDOM_BYTES = 51;

/** Slots of a context as powers of two: small records do not pay for large tables. */
const MOST_SLOT_BITS = 17;
const LEAST_SLOT_BITS = 10;

const STEPS = stepsOf([1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 9.5]);
const RATE = 6;

/** Bytes that are alike before a match is trusted. */
const MATCH_BYTES = 5;
/** Lengths of matches that are told apart: up to this, and their classes. */
const MOST_MATCH = 32;
const MATCH_CLASSES = 13;

export class LiteralModel {
  readonly #mixer: Mixer;
  readonly #raw = new BitModels(2, 255);
  /** Whether a byte is the foretold one, by how long the match is. */
  readonly #hits = new BitModels(MATCH_CLASSES << 8, 255);
  /** Literals, with bytes before each, in a ring. */
  readonly #history: Uint8Array;
  readonly #historyMask: number;
  #historyAt = 0;
  /** Where in the history the last bytes of a hash ended. */
  readonly #places: Int32Array;
  readonly #placeShift: number;
  /** Where the history goes on as the match does, and how many bytes have been alike. */
  #match = 0;
  #matched = 0;
  #wasRaw = 0;
  /** The last four bytes, the last one lowest, and the one before them. */
  #last = 0;
  #before = 0;

  /** @param bytes of the record: less than a MiB make do with smaller tables. */
  constructor(bytes: number) {
    const slotBits = slotBitsFor(bytes, LEAST_SLOT_BITS, MOST_SLOT_BITS);
    this.#mixer = new Mixer({ slotBits, sets: 256, steps: STEPS, rate: RATE });
    this.#history = new Uint8Array(1 << (slotBits + 2));
    this.#historyMask = this.#history.length - 1;
    this.#places = new Int32Array(1 << (slotBits - 2)).fill(-1);
    this.#placeShift = 34 - slotBits;
  }

  /** Gives the tables' memory back; nothing can be coded afterwards. */
  free(): void {
    this.#mixer.free();
    freeMemory(this.#history);
    freeMemory(this.#places);
  }

  /** window[from..to) are literals: a decoder writes them. Of window[0..from) the last bytes are their context. */
  code(coder: BitCoder, window: Uint8Array, from: number, to: number): void {
    if (from === to) return;
    this.#matched = 0;
    for (let at = Math.max(0, from - LITERAL_CONTEXT_BYTES); at < from; at++) this.#remember(window[at]!);
    this.#findMatch();
    for (let at = from; at < to; ) {
      const end = Math.min(at + BLOCK_BYTES, to);
      if (end - at === BLOCK_BYTES) {
        this.#wasRaw = this.#raw.code(coder, this.#wasRaw, isRandom(window, at, end) ? 1 : 0);
        if (this.#wasRaw === 1) {
          for (; at < end; at++) window[at] = coder.codeByte(window[at]!);
          continue;
        }
      }
      for (; at < end; at++) {
        const byte = this.#codeByte(coder, window[at]!);
        window[at] = byte;
        this.#learn(byte);
      }
    }
  }

  #codeByte(coder: BitCoder, byte: number): number {
    const mixer = this.#mixer;
    const last = this.#last;
    const matched = this.#matched;
    if (matched > 0) {
      const foretold = this.#history[this.#match & this.#historyMask]!;
      const trust = matched < 16 ? matched >>> 1 : 8 + ((matched - 16) >>> 2);
      if (this.#hits.code(coder, (trust << 8) | foretold, byte === foretold ? 1 : 0) === 1) return foretold;
    }
    mixer.c0 = hash(last & 0xff, 1);
    mixer.c1 = hash(last & 0xffff, 2);
    mixer.c2 = hash(last & 0xffff00, 3);
    mixer.c3 = hash(last >>> 24, 4);
    mixer.pick(0);
    let node = 1;
    for (let shift = 7; shift >= 4; shift--) node = (node << 1) | mixer.code(coder, node, node, (byte >>> shift) & 1);
    mixer.pick(Math.imul(node, 0x9e3779b));
    for (let shift = 3, place = 1; shift >= 0; shift--) {
      const bit = mixer.code(coder, place, node, (byte >>> shift) & 1);
      place = (place << 1) | bit;
      node = (node << 1) | bit;
    }
    return node & 255;
  }

  #learn(byte: number): void {
    if (this.#matched > 0 && this.#history[this.#match & this.#historyMask] === byte) {
      this.#match++;
      if (this.#matched < MOST_MATCH) this.#matched++;
    } else {
      this.#matched = 0;
    }
    this.#remember(byte);
    if (this.#matched === 0) this.#findMatch();
    this.#places[this.#hashOfLast()] = this.#historyAt;
  }

  #remember(byte: number): void {
    this.#history[this.#historyAt++ & this.#historyMask] = byte;
    this.#before = this.#last >>> 24;
    this.#last = (this.#last << 8) | byte;
  }

  #hashOfLast(): number {
    return hash(this.#last, this.#before) >>> this.#placeShift;
  }

  #findMatch(): void {
    const place = this.#places[this.#hashOfLast()]!;
    if (place < 0 || this.#historyAt - place > this.#historyMask - MOST_MATCH) return;
    const history = this.#history;
    const mask = this.#historyMask;
    let length = 0;
    while (
      length < MOST_MATCH &&
      length < place &&
      history[(place - 1 - length) & mask] === history[(this.#historyAt - 1 - length) & mask]
    )
      length++;
    if (length < MATCH_BYTES) return;
    this.#match = place;
    this.#matched = length;
  }
}

const seen = new Int32Array(256);
let round = 0;

function isRandom(bytes: Uint8Array, from: number, to: number): boolean {
  round = (round + 1) | 0;
  let different = 0;
  for (let at = from; at < to; at++) {
    const byte = bytes[at]!;
    if (seen[byte] === round) continue;
    seen[byte] = round;
    different++;
  }
  return different >= RANDOM_BYTES;
}
