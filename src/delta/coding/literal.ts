/** Coding of literals: bytes that come from nowhere. */
import { damagedDelta } from '../damage.ts';
import type { LiteralModel } from './literal-model.ts';
import { PlainLiteralReader, PlainLiteralWriter } from './plain-literal.ts';
import { RangeDecoder, RangeEncoder } from './range-coder.ts';
import type { RecordModels } from './record-models.ts';
import { ADAPTIVE_EFFORT, chooseStream, openStream, type StreamOptions } from './stream-choice.ts';

const WHAT = 'literals';

export class LiteralEncoder {
  readonly #models: RecordModels;
  readonly #options: StreamOptions;
  readonly #coder: RangeEncoder | undefined;
  readonly #plain = new PlainLiteralWriter();

  /** @param models of the record. */
  constructor(models: RecordModels, options: StreamOptions) {
    this.#models = models;
    this.#options = options;
    this.#coder = options.effort < ADAPTIVE_EFFORT ? undefined : new RangeEncoder();
  }

  /**
   * window[from..to) are literals, window[0..from) what was put out before them. Of that a window holds at least LITERAL_CONTEXT_BYTES, or all
   * that there are in its segment.
   */
  add(window: Uint8Array, from: number, to: number): void {
    if (this.#coder !== undefined) this.#models.literal.code(this.#coder, window, from, to);
    this.#plain.add(window.subarray(from, to));
  }

  finish(): Uint8Array {
    const { stored, isAdaptive } = chooseStream(this.#coder, (effort) => this.#plain.finish(effort), this.#options);
    if (!isAdaptive) this.#models.forgetLiteral();
    return stored;
  }
}

export class LiteralDecoder {
  readonly #plain: PlainLiteralReader | undefined;
  readonly #coder: RangeDecoder;
  readonly #model: LiteralModel | undefined;

  /** @param models as the encoder's were. @throws OsupdError `damaged-delta` */
  constructor(stored: Uint8Array, models: RecordModels) {
    const { bytes, isAdaptive } = openStream(stored, WHAT);
    this.#coder = new RangeDecoder(isAdaptive ? bytes : new Uint8Array(), WHAT);
    if (isAdaptive) {
      this.#model = models.literal;
    } else {
      this.#plain = new PlainLiteralReader(bytes);
      models.forgetLiteral();
    }
  }

  /** Bytes that what was decoded so far takes, with parts of bytes. */
  get position(): number {
    return this.#coder.position;
  }

  /** Writes window[from..to). @throws OsupdError `damaged-delta` */
  next(window: Uint8Array, from: number, to: number): void {
    if (this.#model !== undefined) this.#model.code(this.#coder, window, from, to);
    else this.#plain!.next(window.subarray(from, to));
  }

  /** @throws OsupdError `damaged-delta` when this is not the end of the stored bytes. */
  finish(): void {
    this.#coder.finish();
    if (this.#plain !== undefined && this.#plain.left > 0) throw damagedDelta(`bytes follow the ${WHAT}`);
  }
}
