/** Codes what differs from what is foretold. One model of both directions: a decoder does not look at the values it is given. */
import { BitModels } from '../../coding/bit-models.ts';
import { NumberModel } from '../../coding/number-model.ts';
import type { BitCoder } from '../../coding/range-coder.ts';

const LIMIT = 1023;
const FAST_LIMIT = 60;

/** Yes-or-no decisions, each with so many contexts. */
export const FLAGS = {
  /** One more frame follows. */
  frame: { first: 0, contexts: 1 },
  skippable: { first: 1, contexts: 1 },
  /** The frame has all the content that is left. */
  rest: { first: 2, contexts: 1 },
  /** The window is not that of the settings. */
  window: { first: 3, contexts: 1 },
  /** Content is not cut where it should be; the block is the frame's last. */
  span: { first: 4, contexts: 1 },
  last: { first: 5, contexts: 2 },
  /** The block ends before what it is cut from. */
  part: { first: 7, contexts: 2 },
  /** The form of literals, of a column of sequences is not the one foretold. */
  literals: { first: 9, contexts: 1 },
  column: { first: 10, contexts: 3 },
  /** What comes next is not as foretold: by what came of the last four. */
  miss: { first: 16, contexts: 32 },
  /** The block ends, where a sequence was foretold; parts of the sequence that are wrong. */
  end: { first: 48, contexts: 1 },
  literalLength: { first: 49, contexts: 1 },
  offset: { first: 50, contexts: 2 },
  matchLength: { first: 52, contexts: 4 },
} as const;
const FLAG_SLOTS = 64;

const KIND_BITS = 2;
const KIND_SLOTS = 1 << (2 * KIND_BITS);

export class DecisionModels {
  readonly #coder: BitCoder;
  readonly #flags = new BitModels(FLAG_SLOTS, LIMIT);
  readonly #kinds = new BitModels(KIND_SLOTS, FAST_LIMIT);
  readonly #bytes = new BitModels(1 << 8, FAST_LIMIT);
  readonly sizes = new NumberModel();
  readonly literalLengths = new NumberModel();
  readonly offsets = new NumberModel();
  readonly matchLengths = new NumberModel();

  constructor(coder: BitCoder) {
    this.#coder = coder;
  }

  flag({ first }: { readonly first: number }, context: number, value: boolean): boolean {
    return this.#flags.code(this.#coder, first + context, Number(value)) === 1;
  }

  /** A number of two bits, by the one before. */
  kind(before: number, value: number): number {
    return this.#kinds.codeTree(this.#coder, before << KIND_BITS, KIND_BITS, value);
  }

  /** A byte by how often each comes. */
  byte(value: number): number {
    return this.#bytes.codeTree(this.#coder, 0, 8, value);
  }

  number(model: NumberModel, value: number): number {
    return model.code(this.#coder, value);
  }
}
