/** Writes zstd frames again from their content and coded decisions. */
import { ByteReader } from '../../../core/bytes.ts';
import { OsupdError } from '../../../core/errors.ts';
import { RangeDecoder } from '../../coding/range-coder.ts';
import { damagedDelta, damagedPart } from '../../damage.ts';
import { DecisionModels } from './decision-models.ts';
import { MAX_BLOCK_BYTES } from './format.ts';
import { FrameCoder } from './frame-coder.ts';
import { readSettings } from './settings.ts';

export class FrameRestorer {
  readonly contentSize: number;
  readonly #decoder: RangeDecoder;
  readonly #coder: FrameCoder;
  #parts: Uint8Array[] = [];

  /** @throws OsupdError `damaged-delta` */
  constructor(coded: Uint8Array) {
    const reader = new ByteReader(coded, damagedPart('decisions of zstd frames'));
    const settings = readSettings(reader);
    this.contentSize = reader.varint('size of the content');
    this.#decoder = new RangeDecoder(coded.subarray(reader.offset), 'decisions of zstd frames');
    this.#coder = new FrameCoder(new DecisionModels(this.#decoder), settings, this.contentSize, (part) =>
      this.#parts.push(part.slice()),
    );
  }

  /** Takes content that follows. @returns the bytes of frames that it makes. @throws OsupdError `damaged-delta` */
  append(content: Uint8Array): Uint8Array[] {
    this.#parts = [];
    try {
      for (let at = 0; at < content.length || at === 0; at += MAX_BLOCK_BYTES)
        this.#coder.append(content.subarray(at, at + MAX_BLOCK_BYTES));
    } catch (error) {
      // A table that cannot be read comes from the delta here, not from a file.
      if (error instanceof OsupdError && error.code === 'unsupported') throw damagedDelta(error.message);
      throw error;
    }
    return this.#parts;
  }

  /** @throws OsupdError `damaged-delta` where content is missing or decisions are left over. */
  finish(): void {
    if (!this.#coder.isDone) throw damagedDelta('content of zstd frames ends too early');
    this.#decoder.finish();
  }
}

/** The bytes of frames, from content that comes in pieces. @throws OsupdError `damaged-delta` */
export async function* restoreZstd(
  content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  coded: Uint8Array,
): AsyncGenerator<Uint8Array> {
  const restorer = new FrameRestorer(coded);
  if (restorer.contentSize === 0) yield* restorer.append(new Uint8Array(0));
  for await (const chunk of content) yield* restorer.append(chunk);
  restorer.finish();
}
