/** Bytes as the smallest of: themselves, a zstd frame, a brotli stream. */
import { brotliCompressSync, brotliDecompressSync, constants } from 'node:zlib';
import type { ByteReader, ByteWriter } from '../../core/bytes.ts';
import { OsupdError } from '../../core/errors.ts';
import { compressFrame, decompressFrameSync, windowLogFor } from '../codecs/zstd-frame.ts';
import { damagedDelta } from '../damage.ts';

const METHOD_STORED = 0;
const METHOD_ZSTD = 1;
const METHOD_BROTLI = 2;

/** Shorter bytes are not worth a try. */
const LEAST_BYTES = 16;

/** From this effort on brotli, which is slow, is tried too; with more bytes only from the second on. */
const BROTLI_EFFORT = 4;
const MOST_BROTLI_BYTES = 1 << 20;
const THOROUGH_EFFORT = 9;

const BROTLI_QUALITY = 11;
const BROTLI_WINDOW_LOG = 24;

/** Levels of zstd by effort. */
const ZSTD_LEVELS = [1, 3, 9, 16, 19];

/** Appends them: length, method, and where it is not "stored", length as packed. */
export function pack(bytes: Uint8Array, effort: number, writer: ByteWriter): void {
  let best = bytes;
  let method = METHOD_STORED;
  if (bytes.length >= LEAST_BYTES) {
    const level = ZSTD_LEVELS[Math.min(effort, ZSTD_LEVELS.length - 1)]!;
    const frame = compressFrame(bytes, { level, windowLog: windowLogFor(bytes.length) });
    if (frame.length < best.length) [best, method] = [frame, METHOD_ZSTD];
    const isTried = effort >= (bytes.length > MOST_BROTLI_BYTES ? THOROUGH_EFFORT : BROTLI_EFFORT);
    const brotli = isTried ? compressBrotli(bytes) : bytes;
    if (brotli.length < best.length) [best, method] = [brotli, METHOD_BROTLI];
  }
  writer.varint(bytes.length);
  writer.u8(method);
  if (method !== METHOD_STORED) writer.varint(best.length);
  writer.bytes(best);
}

/**
 * @param most bytes that may come out.
 * @throws OsupdError `damaged-delta`
 */
export function unpack(reader: ByteReader, most: number, what: string): Uint8Array {
  const length = reader.varint(`the length of the ${what}`);
  if (length > most) throw damagedDelta(`the ${what} of ${length} bytes are more than ${most}`);
  const method = reader.u8(`the method of the ${what}`);
  if (method === METHOD_STORED) return reader.take(length, what);
  const stored = reader.take(reader.varint(`the stored length of the ${what}`), what);
  if (method === METHOD_ZSTD) {
    return decompressFrameSync(stored, { rawLength: length, maxWindowLog: windowLogFor(most) });
  }
  if (method !== METHOD_BROTLI) throw damagedDelta(`the ${what} are packed by the unknown method ${method}`);
  return decompressBrotli(stored, length, what);
}

function compressBrotli(bytes: Uint8Array): Uint8Array {
  return brotliCompressSync(bytes, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: BROTLI_QUALITY,
      [constants.BROTLI_PARAM_LGWIN]: BROTLI_WINDOW_LOG,
      [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
    },
  });
}

function decompressBrotli(stored: Uint8Array, length: number, what: string): Uint8Array {
  try {
    const { buffer, engine } = brotliDecompressSync(stored, {
      info: true,
      maxOutputLength: Math.max(length, 1),
    }) as unknown as { buffer: Buffer; engine: { bytesWritten: number } };
    if (buffer.length !== length || engine.bytesWritten !== stored.length)
      throw damagedDelta(`the ${what} are not of the length that is declared`);
    return buffer;
  } catch (error) {
    if (error instanceof OsupdError) throw error;
    throw damagedDelta(`the ${what} are damaged: ${(error as Error).message}`, undefined, error);
  }
}
