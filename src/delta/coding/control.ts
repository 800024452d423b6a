/** Coding of the control numbers: how many literal bytes, how many copied bytes, and from where. */
import { damagedDelta } from '../damage.ts';
import { MAX_CODED_NUMBER, NumberModel } from './number-model.ts';
import { type BitCoder, RangeDecoder, RangeEncoder } from './range-coder.ts';

export interface Control {
  /** Bytes that come from nowhere. */
  literal: number;
  /** Bytes copied after them. */
  copy: number;
  /** Old position of the copy relative to the expected one; negative for backwards. */
  seek: number;
}

/** Seeks are farther than any base is long. */
const MAX_SEEK = 2 ** 31 - 1;

class ControlModel {
  readonly #literals = new NumberModel(8);
  readonly #copies = new NumberModel(8);
  readonly #seeks = new NumberModel(4);
  #before = 0;

  code(coder: BitCoder, control: Control, what: string): Control {
    const literal = this.#literals.code(coder, this.#before, control.literal);
    const copy = this.#copies.code(coder, sizeClass(literal), control.copy);
    const { seek } = control;
    const folded = this.#seeks.code(coder, Math.min(sizeClass(literal), 3), seek < 0 ? -2 * seek - 1 : 2 * seek);
    if (literal > MAX_CODED_NUMBER || copy > MAX_CODED_NUMBER || folded > MAX_CODED_NUMBER)
      throw damagedDelta(`a number in the ${what} is too large`);
    this.#before = sizeClass(copy);
    return { literal, copy, seek: folded % 2 === 1 ? -(folded + 1) / 2 : folded / 2 };
  }
}

function sizeClass(number: number): number {
  return Math.min(7, (33 - Math.clz32(number)) >>> 1);
}

const WHAT = 'control numbers';

export class ControlEncoder {
  readonly #coder = new RangeEncoder();
  readonly #model = new ControlModel();

  /** Lengths below 2^32 - 1, a seek of 31 bits and its sign. */
  add(literal: number, copy: number, seek: number): void {
    if (Math.abs(seek) > MAX_SEEK) throw new RangeError(`a seek of ${seek}`);
    this.#model.code(this.#coder, { literal, copy, seek }, WHAT);
  }

  finish(): Uint8Array {
    return this.#coder.finish();
  }
}

const NOTHING: Control = { literal: 0, copy: 0, seek: 0 };

export class ControlDecoder {
  readonly #coder: RangeDecoder;
  readonly #model = new ControlModel();

  /** @throws OsupdError `damaged-delta` */
  constructor(stored: Uint8Array) {
    this.#coder = new RangeDecoder(stored, WHAT);
  }

  /** Bytes that what was decoded so far takes, with parts of bytes. */
  get position(): number {
    return this.#coder.position;
  }

  /** The numbers are as they were stored: the caller checks them. @throws OsupdError `damaged-delta` */
  next(): Control {
    return this.#model.code(this.#coder, NOTHING, WHAT);
  }

  /** @throws OsupdError `damaged-delta` when this is not the end of the stored bytes. */
  finish(): void {
    this.#coder.finish();
  }
}
