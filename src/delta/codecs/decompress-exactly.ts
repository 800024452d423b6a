/** Content that a decompressor of the runtime gives, held to the length that was declared for it. */
import type { BrotliDecompress, ZstdDecompress } from 'node:zlib';
import { OsupdError } from '../../core/errors.ts';
import { through } from '../../core/through.ts';
import { damagedDelta } from '../damage.ts';

export interface Compressed {
  /** Its chunks must stay valid. Its errors are passed on. */
  readonly stored: AsyncIterable<Uint8Array>;
  /** Bytes that must come out, no more and no less. */
  readonly rawLength: number;
  /** What is read, for messages: `a zstd frame`. */
  readonly what: string;
}

/** @throws OsupdError `damaged-delta` for content of another length, for what is damaged, and for bytes behind it. */
export async function* decompressExactly(
  { stored, rawLength, what }: Compressed,
  decompressor: BrotliDecompress | ZstdDecompress,
): AsyncGenerator<Uint8Array> {
  let given = 0;
  const counted = async function* () {
    for await (const chunk of stored) {
      given += chunk.length;
      yield chunk;
    }
  };
  let raw = 0;
  try {
    for await (const chunk of through(counted(), decompressor)) {
      raw += chunk.length;
      if (raw > rawLength) throw damagedDelta(`${what} holds more than the ${rawLength} bytes declared`);
      yield chunk;
    }
  } catch (error) {
    if (error instanceof OsupdError) throw error;
    throw damagedDelta(`${what} is damaged: ${(error as Error).message}`, undefined, error);
  }
  if (raw < rawLength) throw damagedDelta(`${what} holds ${raw} bytes, not the ${rawLength} declared`);
  if (decompressor.bytesWritten !== given) throw damagedDelta(`bytes follow ${what}`);
}
