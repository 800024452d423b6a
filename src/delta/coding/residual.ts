/** Coding of residuals: what differs between copied bytes and the bytes that they stand for. Nearly all of them are equal. */
import { RangeDecoder, RangeEncoder } from './range-coder.ts';
import { type ResidualContext, ResidualModel } from './residual-model.ts';

export class ResidualEncoder {
  readonly #coder = new RangeEncoder();
  readonly #model: ResidualModel;

  /** @param model goes on with what it learned from earlier streams of the record. */
  constructor(model = new ResidualModel()) {
    this.#model = model;
  }

  /** One copy, or a slice of it: it is cut where the old offset is a multiple of RESIDUAL_BLOCK_BYTES. */
  add(predicted: Uint8Array, actual: Uint8Array, at: ResidualContext): void {
    this.#model.code(this.#coder, predicted, actual, at);
  }

  finish(): Uint8Array {
    return this.#coder.finish();
  }
}

export class ResidualDecoder {
  readonly #coder: RangeDecoder;
  readonly #model: ResidualModel;

  /** @param model as the encoder's was. @throws OsupdError `damaged-delta` */
  constructor(stored: Uint8Array, model = new ResidualModel()) {
    this.#model = model;
    this.#coder = new RangeDecoder(stored, 'residuals');
  }

  /** Bytes that what was decoded so far takes, with parts of bytes. */
  get position(): number {
    return this.#coder.position;
  }

  /**
   * Turns the predicted bytes of a copy, or a slice of it, into the actual ones, in place.
   * @throws OsupdError `damaged-delta`
   */
  next(bytes: Uint8Array, at: ResidualContext): void {
    this.#model.code(this.#coder, bytes, bytes, at);
  }

  /** @throws OsupdError `damaged-delta` when this is not the end of the stored bytes. */
  finish(): void {
    this.#coder.finish();
  }
}
