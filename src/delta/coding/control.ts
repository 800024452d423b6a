/** Coding of the control numbers: how many literal bytes, how many copied bytes, and from where. */
import { type Control, ControlModel } from './control-model.ts';
import { RangeDecoder, RangeEncoder } from './range-coder.ts';

const WHAT = 'control numbers';

export class ControlEncoder {
  readonly #coder = new RangeEncoder();
  readonly #model: ControlModel;

  /** @param model goes on with what it learned from earlier streams of the record. */
  constructor(model = new ControlModel()) {
    this.#model = model;
  }

  /** Lengths and positions in the old and the new content are below 2^31. */
  add(literal: number, copy: number, seek: number): void {
    this.#model.code(this.#coder, { literal, copy, seek });
  }

  finish(): Uint8Array {
    return this.#coder.finish();
  }
}

const NOTHING: Control = { literal: 0, copy: 0, seek: 0 };

export class ControlDecoder {
  readonly #coder: RangeDecoder;
  readonly #model: ControlModel;

  /** @param model as the encoder's was. @throws OsupdError `damaged-delta` */
  constructor(stored: Uint8Array, model = new ControlModel()) {
    this.#coder = new RangeDecoder(stored, WHAT);
    this.#model = model;
  }

  /** Bytes that what was decoded so far takes, with parts of bytes. */
  get position(): number {
    return this.#coder.position;
  }

  /** The numbers are as they were stored: the caller checks them. @throws OsupdError `damaged-delta` */
  next(): Control {
    return this.#model.code(this.#coder, NOTHING);
  }

  /** @throws OsupdError `damaged-delta` when this is not the end of the stored bytes. */
  finish(): void {
    this.#coder.finish();
  }
}
