/**
 * Single zstd frames (RFC 8878) by the runtime, with bounded memory: at most what is declared comes out of one, and its
 * window is no larger than what the caller's codec uses.
 */
import {
  constants,
  createZstdCompress,
  createZstdDecompress,
  type ZstdOptions,
  zstdCompressSync,
  zstdDecompressSync,
} from 'node:zlib';
import type { OsupdError } from '../../core/errors.ts';
import { through } from '../../core/through.ts';
import { damagedDelta } from '../damage.ts';
import { decompressExactly } from './decompress-exactly.ts';

const MIN_WINDOW_LOG = 10;

/** From this window on, level 19's tables of the last 8 MiB are too small: an old kernel as dictionary would lie outside. */
const LARGE_WINDOW_LOG = 25;

/** From this window on, long distance matching finds what even large tables lose (libnode.so, 47 MB: 2.7 MB instead of 5.1). */
const LONG_WINDOW_LOG = 26;

/** Piece of output of the decompressor. */
const CHUNK_BYTES = 256 << 10;

export interface FrameOptions {
  readonly level: number;
  readonly windowLog: number;
  /** What the frame may refer to before its first byte; a reader must have the same. */
  readonly dictionary?: Uint8Array;
}

/** The smallest window, as a power of two, that covers so many bytes. */
export function windowLogFor(bytes: number): number {
  let log = MIN_WINDOW_LOG;
  while (2 ** log < bytes) log++;
  return log;
}

/** Tables for {@link LARGE_WINDOW_LOG} and above, as powers of two of their entries. */
const LARGE_CHAIN_LOG = 25;
const LARGE_HASH_LOG = 23;

function compressorOptions({ level, windowLog, dictionary }: FrameOptions): ZstdOptions {
  const large = windowLog >= LARGE_WINDOW_LOG;
  return {
    ...(dictionary === undefined ? {} : { dictionary }),
    params: {
      [constants.ZSTD_c_compressionLevel]: level,
      [constants.ZSTD_c_windowLog]: windowLog,
      ...(large ? { [constants.ZSTD_c_chainLog]: LARGE_CHAIN_LOG, [constants.ZSTD_c_hashLog]: LARGE_HASH_LOG } : {}),
      ...(windowLog >= LONG_WINDOW_LOG ? { [constants.ZSTD_c_enableLongDistanceMatching]: 1 } : {}),
    },
  };
}

/** Memory that compressing takes at most, at level 19; zstd has its tables twice when there is a dictionary. */
export function compressionMemory(contentBytes: number, dictionaryBytes: number): number {
  const chainLog = Math.min(windowLogFor(contentBytes + dictionaryBytes) + 1, LARGE_CHAIN_LOG);
  const tables = 4 * 2 ** chainLog + 4 * 2 ** (chainLog - 2);
  return 2 * contentBytes + 3 * dictionaryBytes + (dictionaryBytes > 0 ? 2 : 1) * tables;
}

/** One frame; its header says the content's size. Blocks the thread: call it in a worker. */
export function compressFrame(content: Uint8Array, options: FrameOptions): Uint8Array {
  return zstdCompressSync(content, compressorOptions(options));
}

/** One frame of content that comes as a stream of exactly `size` bytes. */
export function compressFrameStream(
  content: AsyncIterable<Uint8Array>,
  size: number,
  options: FrameOptions,
): AsyncIterable<Uint8Array> {
  return through(content, createZstdCompress({ ...compressorOptions(options), pledgedSrcSize: size }));
}

export interface FrameLimits {
  /** Bytes that must come out, no more and no less. */
  readonly rawLength: number;
  /** The largest window that is allowed, as a power of two. */
  readonly maxWindowLog: number;
  readonly dictionary?: Uint8Array;
}

/**
 * The content of one frame. Chunks of `stored` must stay valid. Errors of `stored` are passed on.
 * @throws OsupdError `damaged-delta` for anything but frames of exactly this content length in all. Writers make one; empty ones
 * behind it do no harm.
 */
export function decompressFrame(stored: AsyncIterable<Uint8Array>, limits: FrameLimits): AsyncGenerator<Uint8Array> {
  const { rawLength } = limits;
  return decompressExactly(
    { stored, rawLength, what: 'a zstd frame' },
    createZstdDecompress(decompressorOptions(limits)),
  );
}

/** The same for a small frame in memory, at once. */
export function decompressFrameSync(frame: Uint8Array, { rawLength, maxWindowLog, dictionary }: FrameLimits): Buffer {
  let content: Buffer;
  let consumed: number;
  try {
    const { buffer, engine } = zstdDecompressSync(frame, {
      info: true,
      maxOutputLength: Math.max(rawLength, 1),
      ...decompressorOptions({ rawLength, maxWindowLog, ...(dictionary === undefined ? {} : { dictionary }) }),
    }) as unknown as { buffer: Buffer; engine: { bytesWritten: number } };
    content = buffer;
    consumed = engine.bytesWritten;
  } catch (error) {
    throw damagedFrame(error);
  }
  if (content.length !== rawLength)
    throw damagedDelta(`a zstd frame holds ${content.length} bytes, not the ${rawLength} declared`);
  if (consumed !== frame.length) throw damagedDelta('bytes follow a zstd frame');
  return content;
}

function decompressorOptions({ rawLength, maxWindowLog, dictionary }: FrameLimits): ZstdOptions {
  return {
    chunkSize: Math.max(64, Math.min(rawLength, CHUNK_BYTES)),
    params: { [constants.ZSTD_d_windowLogMax]: Math.max(maxWindowLog, MIN_WINDOW_LOG) },
    ...(dictionary === undefined ? {} : { dictionary }),
  };
}

function damagedFrame(error: unknown): OsupdError {
  return damagedDelta(`a zstd frame is damaged: ${(error as Error).message}`, undefined, error);
}
