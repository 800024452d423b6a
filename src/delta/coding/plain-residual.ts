/** Residuals as plain bytes: before each change how many bytes are unchanged (varints), and the changes apart from that. */
import { ByteReader, ByteWriter } from '../../core/bytes.ts';
import { MAX_SEGMENT_STORED_BYTES } from '../../core/limits.ts';
import { damagedPart } from '../damage.ts';
import { pack, unpack } from './packed.ts';

const WHAT = 'residuals';

export class PlainResidualWriter {
  readonly #gaps = new ByteWriter();
  readonly #changes = new ByteWriter();
  #gap = 0;

  add(predicted: Uint8Array, actual: Uint8Array): void {
    let last = -this.#gap - 1;
    for (let at = 0; at < predicted.length; at++) {
      if (predicted[at] === actual[at]) continue;
      this.#gaps.varint(at - last - 1);
      this.#changes.u8((actual[at]! - predicted[at]!) & 255);
      last = at;
    }
    this.#gap = predicted.length - last - 1;
  }

  finish(effort: number): ByteWriter {
    const writer = new ByteWriter();
    pack(this.#gaps.finish(), effort, writer);
    pack(this.#changes.finish(), effort, writer);
    return writer;
  }
}

export class PlainResidualReader {
  readonly #stored: ByteReader;
  readonly #gaps: ByteReader;
  readonly #changes: ByteReader;
  #gap: number;

  /** @throws OsupdError `damaged-delta` */
  constructor(stored: Uint8Array) {
    const bad = damagedPart(WHAT);
    this.#stored = new ByteReader(stored, bad);
    this.#gaps = new ByteReader(unpack(this.#stored, MAX_SEGMENT_STORED_BYTES, 'gaps of residuals'), bad);
    this.#changes = new ByteReader(unpack(this.#stored, MAX_SEGMENT_STORED_BYTES, 'changes of residuals'), bad);
    this.#gap = this.#nextGap();
  }

  /** Turns predicted bytes into actual ones. @throws OsupdError `damaged-delta` */
  next(bytes: Uint8Array): void {
    let at = 0;
    while (this.#gap < bytes.length - at) {
      at += this.#gap;
      bytes[at]! += this.#changes.u8('a change');
      at++;
      this.#gap = this.#nextGap();
    }
    this.#gap -= bytes.length - at;
  }

  get left(): number {
    return (
      this.#gaps.remaining +
      this.#changes.remaining +
      this.#stored.remaining +
      (this.#gap < Number.POSITIVE_INFINITY ? 1 : 0)
    );
  }

  #nextGap(): number {
    return this.#gaps.remaining === 0 ? Number.POSITIVE_INFINITY : this.#gaps.varint('a gap');
  }
}
