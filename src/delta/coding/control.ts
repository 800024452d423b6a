/** Coding of the control numbers: how many literal bytes, how many copied bytes, and from where. */
import { damagedDelta } from '../damage.ts';
import type { Control, ControlModel } from './control-model.ts';
import { PlainControlReader, PlainControlWriter } from './plain-control.ts';
import { RangeDecoder, RangeEncoder } from './range-coder.ts';
import type { RecordModels } from './record-models.ts';
import { ADAPTIVE_EFFORT, chooseStream, openStream, type StreamOptions } from './stream-choice.ts';

const WHAT = 'control numbers';

export class ControlEncoder {
  readonly #models: RecordModels;
  readonly #options: StreamOptions;
  readonly #coder: RangeEncoder | undefined;
  readonly #plain = new PlainControlWriter();

  /** @param models of the record. */
  constructor(models: RecordModels, options: StreamOptions) {
    this.#models = models;
    this.#options = options;
    this.#coder = options.effort < ADAPTIVE_EFFORT ? undefined : new RangeEncoder();
  }

  /** Lengths and positions in the old and the new content are below 2^31. */
  add(literal: number, copy: number, seek: number): void {
    const control = { literal, copy, seek };
    if (this.#coder !== undefined) this.#models.control.code(this.#coder, control);
    this.#plain.add(control);
  }

  finish(): Uint8Array {
    const { stored, isAdaptive } = chooseStream(this.#coder, (effort) => this.#plain.finish(effort), this.#options);
    if (!isAdaptive) this.#models.forgetControl();
    return stored;
  }
}

const NOTHING: Control = { literal: 0, copy: 0, seek: 0 };

export class ControlDecoder {
  readonly #plain: PlainControlReader | undefined;
  readonly #coder: RangeDecoder;
  readonly #model: ControlModel | undefined;

  /** @param models as the encoder's were. @throws OsupdError `damaged-delta` */
  constructor(stored: Uint8Array, models: RecordModels) {
    const { bytes, isAdaptive } = openStream(stored, WHAT);
    this.#coder = new RangeDecoder(isAdaptive ? bytes : new Uint8Array(), WHAT);
    if (isAdaptive) {
      this.#model = models.control;
    } else {
      this.#plain = new PlainControlReader(bytes);
      models.forgetControl();
    }
  }

  /** Bytes that what was decoded so far takes, with parts of bytes. */
  get position(): number {
    return this.#coder.position;
  }

  /** The numbers are as they were stored: the caller checks them. @throws OsupdError `damaged-delta` */
  next(): Control {
    return this.#model === undefined ? this.#plain!.next() : this.#model.code(this.#coder, NOTHING);
  }

  /** @throws OsupdError `damaged-delta` when this is not the end of the stored bytes. */
  finish(): void {
    this.#coder.finish();
    if (this.#plain !== undefined && this.#plain.left > 0) throw damagedDelta(`bytes follow the ${WHAT}`);
  }
}
