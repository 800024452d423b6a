/** How a stream of a segment is stored: by an adaptive coder, or as plain bytes that are packed. */
import type { ByteWriter } from '../../core/bytes.ts';
import { damagedDelta } from '../damage.ts';
import type { RangeEncoder } from './range-coder.ts';

const ADAPTIVE = 0;
const PLAIN = 1;

export interface StreamOptions {
  /** 1 (fastest) to 9 (smallest). */
  readonly effort: number;
  /** Content of the segment that the stream is for. */
  readonly bytes: number;
}

/** Below this effort nothing is coded adaptively: it takes longer than all else. */
export const ADAPTIVE_EFFORT = 4;

/** From this effort on plain bytes are tried wherever the adaptive coder is used, too, and all that counts is size. */
const THOROUGH_EFFORT = 8;

/** What decoding an adaptively coded bit takes, about. */
const NANOSECONDS_PER_BIT = 60;

/**
 * What decoding a stream may take: for each byte of the segment's content, and at all. Streams of typical updates take a tenth of it, so
 * that all of an update is decoded at more than 20 MB of content a second; the bound is for segments in which nearly everything changed.
 */
const NANOSECONDS_PER_BYTE = 150;
const NANOSECONDS_AT_ALL = 100e6;

/** Up to this many adaptively coded bits a stream is decoded in less than a tenth of a second. */
const QUICK_BITS = 1 << 20;

/** What an adaptively coded bit must save at least, in bytes: a second of decoding saves 160 kB. Compressed content saves less. */
const LEAST_SAVED_PER_BIT = 0.01;

/**
 * The stored bytes of a stream; none where nothing was coded.
 * @param adaptive undefined where the effort is too small for it. @param plain writes the packed plain bytes.
 */
export function chooseStream(
  adaptive: RangeEncoder | undefined,
  plain: (effort: number) => ByteWriter,
  { effort, bytes }: StreamOptions,
): { stored: Uint8Array; isAdaptive: boolean } {
  const coded = adaptive?.finish();
  const bits = adaptive?.codedBits ?? 0;
  const isSlow = bits * NANOSECONDS_PER_BIT > NANOSECONDS_AT_ALL + bytes * NANOSECONDS_PER_BYTE;
  const isThorough = effort >= THOROUGH_EFFORT;
  if (coded !== undefined && !isThorough && bits <= QUICK_BITS)
    return { stored: marked(ADAPTIVE, coded), isAdaptive: true };
  const packed = plain(effort).finish();
  const leastSaved = isThorough ? 0 : bits * LEAST_SAVED_PER_BIT;
  return coded !== undefined && !isSlow && coded.length + leastSaved <= packed.length
    ? { stored: marked(ADAPTIVE, coded), isAdaptive: true }
    : { stored: marked(PLAIN, packed), isAdaptive: false };
}

/** @throws OsupdError `damaged-delta` */
export function openStream(stored: Uint8Array, what: string): { bytes: Uint8Array; isAdaptive: boolean } {
  const method = stored[0] ?? ADAPTIVE;
  if (method > PLAIN) throw damagedDelta(`the ${what} are stored in the unknown way ${method}`);
  return { bytes: stored.subarray(1), isAdaptive: method === ADAPTIVE };
}

function marked(method: number, bytes: Uint8Array): Uint8Array {
  const stored = new Uint8Array(bytes.length + 1);
  stored[0] = method;
  stored.set(bytes, 1);
  return stored;
}
