/** Compressed files of a repository: one zstd frame (RFC 8878) each, with its content's size in the frame header. */

import { promisify } from 'node:util';
import { constants, createZstdCompress, createZstdDecompress, zstdCompress, zstdDecompress } from 'node:zlib';
import type { OsupdError } from '../core/errors.ts';
import { through } from '../core/through.ts';

const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);

/**
 * zstd levels for efforts 1 to 9. Above 19 the window, and with it the memory of every device that reads, grows sixteenfold for
 * less than a percent.
 */
const LEVELS = [1, 3, 6, 9, 12, 15, 17, 18, 19] as const;

const MIN_EFFORT = 1;
export const MAX_EFFORT = LEVELS.length;

/** Bytes of a frame that are enough to read its content's size. */
export const FRAME_HEADER_BYTES = 18;

/** The largest window of a frame that is read, as a power of two: what level 19 uses. It bounds memory. */
const MAX_WINDOW_LOG = 23;

function optionsFor(size: number, effort: number) {
  const level = LEVELS[Math.min(Math.max(effort, MIN_EFFORT), MAX_EFFORT) - 1] ?? 19;
  const params = { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_contentSizeFlag]: 1 };
  return { pledgedSrcSize: size, params };
}

/** Compresses bytes to one frame, on a thread of the runtime's own. Effort: 1 (fastest) to 9 (smallest). */
export function compressBytes(bytes: Uint8Array, effort: number): Promise<Buffer> {
  return compress(bytes, optionsFor(bytes.length, effort));
}

/** Compresses a stream of exactly `size` bytes to one frame; another number of bytes is an error of the stream. */
export function compressStream(
  content: AsyncIterable<Uint8Array>,
  size: number,
  effort: number,
): AsyncIterable<Uint8Array> {
  return through(content, createZstdCompress(optionsFor(size, effort)));
}

/**
 * Decompresses a frame.
 * @param limit the most bytes that its content may have
 * @param bad makes the error for a frame that is damaged or larger
 */
export async function decompressBytes(
  frame: Uint8Array,
  limit: number,
  bad: (why: string, cause: unknown) => OsupdError,
): Promise<Buffer> {
  // The runtime takes no limit of 0, and an empty content has no byte more than 1.
  const maxOutputLength = Math.max(limit, 1);
  try {
    return await decompress(frame, { maxOutputLength, params: { [constants.ZSTD_d_windowLogMax]: MAX_WINDOW_LOG } });
  } catch (cause) {
    throw bad((cause as Error).message, cause);
  }
}

/** Decompresses a stream. The caller counts what comes out. */
export function decompressStream(frame: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  return through(frame, createZstdDecompress({ params: { [constants.ZSTD_d_windowLogMax]: MAX_WINDOW_LOG } }));
}

/**
 * The size of a frame's content as its header says, or undefined where it does not say or this is no frame (RFC 8878,
 * section 3.1.1.1). `head`: the first bytes, {@link FRAME_HEADER_BYTES} or the whole frame.
 */
export function frameContentSize(head: Uint8Array): number | undefined {
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  if (head.length < 6 || view.getUint32(0, true) !== 0xfd2fb528) return undefined;
  const descriptor = view.getUint8(4);
  const singleSegment = (descriptor & 0x20) !== 0;
  const dictionaryIdBytes = [0, 1, 2, 4][descriptor & 3] ?? 0;
  const sizeBytes = [singleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6] ?? 0;
  const at = 5 + (singleSegment ? 0 : 1) + dictionaryIdBytes;
  if (at + sizeBytes > head.length) return undefined;
  switch (sizeBytes) {
    case 1:
      return view.getUint8(at);
    case 2:
      return view.getUint16(at, true) + 256;
    case 4:
      return view.getUint32(at, true);
    case 8:
      return Number(view.getBigUint64(at, true));
    default:
      return undefined;
  }
}
