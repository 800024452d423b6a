/** Coding of literals: bytes that come from nowhere. */
import { BitModels } from './bit-models.ts';
import { type BitCoder, RangeDecoder, RangeEncoder } from './range-coder.ts';

/** Bytes before a literal that are looked at: a window holds at least so many of them, or all that there are in its member. */
export const LITERAL_CONTEXT_BYTES = 8;

const LIMIT = 127;

class LiteralModel {
  readonly #models = new BitModels(1 << 16, LIMIT);

  code(coder: BitCoder, window: Uint8Array, from: number, to: number): void {
    for (let at = from; at < to; at++) {
      const before = at === 0 ? 0 : window[at - 1]!;
      window[at] = this.#models.codeTree(coder, before << 8, 8, window[at]!);
    }
  }
}

export class LiteralEncoder {
  readonly #coder = new RangeEncoder();
  readonly #model = new LiteralModel();

  /** window[from..to) are literals, window[0..from) what was put out before them: see {@link LITERAL_CONTEXT_BYTES}. */
  add(window: Uint8Array, from: number, to: number): void {
    this.#model.code(this.#coder, window, from, to);
  }

  finish(): Uint8Array {
    return this.#coder.finish();
  }
}

export class LiteralDecoder {
  readonly #coder: RangeDecoder;
  readonly #model = new LiteralModel();

  /** @throws OsupdError `damaged-delta` */
  constructor(stored: Uint8Array) {
    this.#coder = new RangeDecoder(stored, 'literals');
  }

  /** Bytes that what was decoded so far takes, with parts of bytes. */
  get position(): number {
    return this.#coder.position;
  }

  /** Writes window[from..to). @throws OsupdError `damaged-delta` */
  next(window: Uint8Array, from: number, to: number): void {
    this.#model.code(this.#coder, window, from, to);
  }

  /** @throws OsupdError `damaged-delta` when this is not the end of the stored bytes. */
  finish(): void {
    this.#coder.finish();
  }
}
