/** Coding of literals: bytes that come from nowhere. */
import { LiteralModel } from './literal-model.ts';
import { RangeDecoder, RangeEncoder } from './range-coder.ts';

export class LiteralEncoder {
  readonly #coder = new RangeEncoder();
  readonly #model: LiteralModel;

  /** @param model goes on with what it learned from earlier streams of the record. */
  constructor(model = new LiteralModel()) {
    this.#model = model;
  }

  /**
   * window[from..to) are literals, window[0..from) what was put out before them. Of that a window holds at least LITERAL_CONTEXT_BYTES, or all
   * that there are in its segment.
   */
  add(window: Uint8Array, from: number, to: number): void {
    this.#model.code(this.#coder, window, from, to);
  }

  finish(): Uint8Array {
    return this.#coder.finish();
  }
}

export class LiteralDecoder {
  readonly #coder: RangeDecoder;
  readonly #model: LiteralModel;

  /** @param model as the encoder's was. @throws OsupdError `damaged-delta` */
  constructor(stored: Uint8Array, model = new LiteralModel()) {
    this.#model = model;
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
