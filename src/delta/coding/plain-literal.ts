/** Literals as plain bytes. */
import { ByteReader, ByteWriter } from '../../core/bytes.ts';
import { MAX_SEGMENT_STORED_BYTES } from '../../core/limits.ts';
import { damagedPart } from '../damage.ts';
import { pack, unpack } from './packed.ts';

const WHAT = 'literals';

export class PlainLiteralWriter {
  readonly #bytes = new ByteWriter();

  add(bytes: Uint8Array): void {
    this.#bytes.bytes(bytes);
  }

  finish(effort: number): ByteWriter {
    const writer = new ByteWriter();
    pack(this.#bytes.finish(), effort, writer);
    return writer;
  }
}

export class PlainLiteralReader {
  readonly #stored: ByteReader;
  readonly #bytes: ByteReader;

  /** @throws OsupdError `damaged-delta` */
  constructor(stored: Uint8Array) {
    const bad = damagedPart(WHAT);
    this.#stored = new ByteReader(stored, bad);
    this.#bytes = new ByteReader(unpack(this.#stored, MAX_SEGMENT_STORED_BYTES, WHAT), bad);
  }

  /** @throws OsupdError `damaged-delta` */
  next(target: Uint8Array): void {
    target.set(this.#bytes.take(target.length, 'a literal'));
  }

  get left(): number {
    return this.#bytes.remaining + this.#stored.remaining;
  }
}
