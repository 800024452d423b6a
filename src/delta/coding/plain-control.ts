/** Control numbers as plain bytes: three varints for each copy. */
import { ByteReader, ByteWriter } from '../../core/bytes.ts';
import { MAX_SEGMENT_STORED_BYTES } from '../../core/limits.ts';
import { damagedPart } from '../damage.ts';
import { readSigned, writeSigned } from '../signed.ts';
import type { Control } from './control-model.ts';
import { pack, unpack } from './packed.ts';

const WHAT = 'control numbers';

export class PlainControlWriter {
  readonly #numbers = new ByteWriter();

  add({ literal, copy, seek }: Control): void {
    this.#numbers.varint(literal);
    this.#numbers.varint(copy);
    writeSigned(this.#numbers, seek);
  }

  finish(effort: number): ByteWriter {
    const writer = new ByteWriter();
    pack(this.#numbers.finish(), effort, writer);
    return writer;
  }
}

export class PlainControlReader {
  readonly #stored: ByteReader;
  readonly #numbers: ByteReader;

  /** @throws OsupdError `damaged-delta` */
  constructor(stored: Uint8Array) {
    const bad = damagedPart(WHAT);
    this.#stored = new ByteReader(stored, bad);
    this.#numbers = new ByteReader(unpack(this.#stored, MAX_SEGMENT_STORED_BYTES, WHAT), bad);
  }

  /** @throws OsupdError `damaged-delta` */
  next(): Control {
    const literal = this.#numbers.varint('the length of a literal');
    const copy = this.#numbers.varint('the length of a copy');
    return { literal, copy, seek: readSigned(this.#numbers, 'the place of a copy') };
  }

  get left(): number {
    return this.#numbers.remaining + this.#stored.remaining;
  }
}
