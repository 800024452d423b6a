/** The codec that the runtime's brotli gives: content against bases. On texts it beats zstd by 5 %. */
import { type BrotliOptions, brotliCompressSync, constants, createBrotliDecompress } from 'node:zlib';
import { MAX_BROTLI_CODEC_BYTES } from '../../core/limits.ts';
import type { Codec } from '../codec.ts';
import { damagedDelta } from '../damage.ts';
import { readBases } from '../read-base.ts';
import { sum, totalSize } from '../total-size.ts';
import { decompressExactly } from './decompress-exactly.ts';
import { windowLogFor } from './zstd-frame.ts';

/** Brotli's quality from an effort of 5 on, and below. What lies between does not find enough in a dictionary for its time. */
const QUALITY = constants.BROTLI_MAX_QUALITY;
const FAST_EFFORT = 5;
const FAST_QUALITY = 5;

/** The largest window that brotli has without its extension for large ones. */
const MAX_WINDOW_LOG = constants.BROTLI_MAX_WINDOW_BITS;

/** Piece of output of the decompressor. */
const CHUNK_BYTES = 256 << 10;

/** The types of the runtime do not know that its brotli takes a dictionary, as it does since version 24. */
interface DictionaryOptions extends BrotliOptions {
  readonly dictionary: Uint8Array;
}

function fits(baseBytes: number, targetBytes: number): boolean {
  return baseBytes > 0 && baseBytes + targetBytes <= MAX_BROTLI_CODEC_BYTES;
}

/** One brotli stream (RFC 7932) with all bases, one after the other, as its dictionary of raw content. */
export const brotliBase: Codec = {
  name: 'brotli-base',
  usesBases: true,
  async encode(target, bases, { effort }) {
    const baseBytes = totalSize(bases);
    if (!fits(baseBytes, target.length)) return undefined;
    const dictionary = await readBases(bases);
    const options: DictionaryOptions = {
      dictionary,
      params: {
        [constants.BROTLI_PARAM_QUALITY]: effort < FAST_EFFORT ? FAST_QUALITY : QUALITY,
        [constants.BROTLI_PARAM_LGWIN]: Math.min(windowLogFor(baseBytes + target.length), MAX_WINDOW_LOG),
        [constants.BROTLI_PARAM_SIZE_HINT]: target.length,
      },
    };
    return brotliCompressSync(target, options);
  },
  decodingMemory(bases, members) {
    return 2 * sum(bases) + Math.min(sum(bases) + sum(members), 2 ** MAX_WINDOW_LOG);
  },
  async *decode(stored, bases, members) {
    const rawLength = sum(members);
    const baseBytes = totalSize(bases);
    if (!fits(baseBytes, rawLength)) throw damagedDelta(`a brotli record has bases of ${baseBytes} bytes`);
    const dictionary = await readBases(bases);
    const chunkSize = Math.max(64, Math.min(rawLength, CHUNK_BYTES));
    const options: DictionaryOptions = { chunkSize, dictionary };
    yield* decompressExactly({ stored, rawLength, what: 'a brotli stream' }, createBrotliDecompress(options));
  },
};
