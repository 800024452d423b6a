/** Coding of residuals: what differs between copied bytes and the bytes that they stand for. Nearly all of them are equal. */
import { damagedDelta } from '../damage.ts';
import { PlainResidualReader, PlainResidualWriter } from './plain-residual.ts';
import { RangeDecoder, RangeEncoder } from './range-coder.ts';
import type { RecordModels } from './record-models.ts';
import type { ResidualContext, ResidualModel } from './residual-model.ts';
import { ADAPTIVE_EFFORT, chooseStream, openStream, type StreamOptions } from './stream-choice.ts';

const WHAT = 'residuals';

export class ResidualEncoder {
  readonly #models: RecordModels;
  readonly #options: StreamOptions;
  readonly #coder: RangeEncoder | undefined;
  readonly #plain = new PlainResidualWriter();

  /** @param models of the record. */
  constructor(models: RecordModels, options: StreamOptions) {
    this.#models = models;
    this.#options = options;
    this.#coder = options.effort < ADAPTIVE_EFFORT ? undefined : new RangeEncoder();
  }

  /** One copy, or a slice of it: it is cut where the old offset is a multiple of RESIDUAL_BLOCK_BYTES. */
  add(predicted: Uint8Array, actual: Uint8Array, at: ResidualContext): void {
    if (this.#coder !== undefined) this.#models.residual.code(this.#coder, predicted, actual, at);
    this.#plain.add(predicted, actual);
  }

  finish(): Uint8Array {
    const { stored, isAdaptive } = chooseStream(this.#coder, (effort) => this.#plain.finish(effort), this.#options);
    if (!isAdaptive) this.#models.forgetResidual();
    return stored;
  }
}

export class ResidualDecoder {
  readonly #plain: PlainResidualReader | undefined;
  readonly #coder: RangeDecoder;
  readonly #model: ResidualModel | undefined;

  /** @param models as the encoder's were. @throws OsupdError `damaged-delta` */
  constructor(stored: Uint8Array, models: RecordModels) {
    const { bytes, isAdaptive } = openStream(stored, WHAT);
    this.#coder = new RangeDecoder(isAdaptive ? bytes : new Uint8Array(), WHAT);
    if (isAdaptive) {
      this.#model = models.residual;
    } else {
      this.#plain = new PlainResidualReader(bytes);
      models.forgetResidual();
    }
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
    if (this.#model !== undefined) this.#model.code(this.#coder, bytes, bytes, at);
    else this.#plain!.next(bytes);
  }

  /** @throws OsupdError `damaged-delta` when this is not the end of the stored bytes. */
  finish(): void {
    this.#coder.finish();
    if (this.#plain !== undefined && this.#plain.left > 0) throw damagedDelta(`bytes follow the ${WHAT}`);
  }
}
