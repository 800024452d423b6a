/** The codecs that the runtime's zstd gives: whole content, and content against bases. */

import { MAX_DICTIONARY_CODEC_BYTES } from '../../core/limits.ts';
import type { Codec } from '../codec.ts';
import { damagedDelta } from '../damage.ts';
import { readBases } from '../read-base.ts';
import { sum, totalSize } from '../total-size.ts';
import { compressFrame, compressFrameStream, decompressFrame, windowLogFor } from './zstd-frame.ts';

/**
 * zstd levels for efforts 1 to 9. Levels 13 to 17 find less in a base than 12 does; above 19 little is gained. Windows are set apart, so
 * memory stays bounded.
 */
const LEVELS = [3, 5, 7, 9, 11, 12, 19, 20, 22] as const;

/** The window of whole content: it is what level 19 looks back by itself, and what a reader needs in memory. */
const WHOLE_WINDOW_LOG = 23;

export function zstdLevel(effort: number): number {
  return LEVELS[Math.min(Math.max(Math.round(effort), 1), LEVELS.length) - 1]!;
}

function wholeOptions(size: number, effort: number) {
  return { level: zstdLevel(effort), windowLog: Math.min(windowLogFor(size), WHOLE_WINDOW_LOG) };
}

/** One zstd frame of the content; takes no base. */
export const zstd: Codec = {
  name: 'zstd',
  usesBases: false,
  async encode(target, _bases, { effort }) {
    return compressFrame(target, wholeOptions(target.length, effort));
  },
  decodingMemory(_bases, members) {
    return Math.min(sum(members), 2 ** WHOLE_WINDOW_LOG);
  },
  decode(stored, _bases, members) {
    return decompressFrame(stored, { rawLength: sum(members), maxWindowLog: WHOLE_WINDOW_LOG });
  },
};

/** What {@link zstd} makes of content that is too large to be held in memory, in pieces. */
export function encodeZstdStream(
  content: AsyncIterable<Uint8Array>,
  size: number,
  effort: number,
): AsyncIterable<Uint8Array> {
  return compressFrameStream(content, size, wholeOptions(size, effort));
}

/** True where the codec {@link zstdBase} can be used: a reader needs the bases twice, and a window of the content's size. */
function fitsZstdBase(baseBytes: number, targetBytes: number): boolean {
  return baseBytes > 0 && 2 * baseBytes + targetBytes <= MAX_DICTIONARY_CODEC_BYTES;
}

/** One zstd frame with all bases, one after the other, as its dictionary (raw content, no dictionary header). */
export const zstdBase: Codec = {
  name: 'zstd-base',
  usesBases: true,
  async encode(target, bases, { effort }) {
    const baseBytes = totalSize(bases);
    if (!fitsZstdBase(baseBytes, target.length)) return undefined;
    const dictionary = await readBases(bases);
    return compressFrame(target, {
      level: zstdLevel(effort),
      windowLog: windowLogFor(baseBytes + target.length),
      dictionary,
    });
  },
  decodingMemory(bases, members) {
    return 2 * sum(bases) + sum(members);
  },
  async *decode(stored, bases, members) {
    const rawLength = sum(members);
    const baseBytes = totalSize(bases);
    if (!fitsZstdBase(baseBytes, rawLength)) throw damagedDelta(`a record has bases of ${baseBytes} bytes`);
    const dictionary = await readBases(bases);
    yield* decompressFrame(stored, { rawLength, maxWindowLog: windowLogFor(baseBytes + rawLength), dictionary });
  },
};
