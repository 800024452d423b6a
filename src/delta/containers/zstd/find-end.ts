/** Where zstd frames end, without decoding them. */
import { BLOCK_RLE, FRAME_MAGIC, SKIPPABLE_MAGIC, SKIPPABLE_MAGICS } from './format.ts';

const MAGIC_BYTES = 4;
const BLOCK_HEADER_BYTES = 3;
const CHECKSUM_BYTES = 4;

export function beginsZstd(bytes: Uint8Array, offset: number): boolean {
  const magic = number(bytes, offset, MAGIC_BYTES);
  return magic === FRAME_MAGIC || isSkippable(magic);
}

/** Offset behind all frames that follow one another from `offset` on; undefined where there is none, or one is cut off. */
export function framesEnd(bytes: Uint8Array, offset: number): number | undefined {
  let end: number | undefined;
  for (let at: number | undefined = offset; at !== undefined && beginsZstd(bytes, at); ) {
    at = frameEnd(bytes, at);
    end = at;
  }
  return end;
}

function frameEnd(bytes: Uint8Array, start: number): number | undefined {
  const magic = number(bytes, start, MAGIC_BYTES);
  const end = isSkippable(magic)
    ? start + 2 * MAGIC_BYTES + number(bytes, start + MAGIC_BYTES, MAGIC_BYTES)
    : blocksEnd(bytes, start);
  return end <= bytes.length ? end : undefined;
}

/** NaN where a header is cut off. */
function blocksEnd(bytes: Uint8Array, start: number): number {
  const descriptor = number(bytes, start + MAGIC_BYTES, 1);
  const isSingle = (descriptor & 0x20) !== 0;
  const sizeCode = descriptor >>> 6;
  const sizeBytes = sizeCode === 0 ? Number(isSingle) : 2 ** sizeCode;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3]!;
  let at = start + MAGIC_BYTES + 1 + Number(!isSingle) + dictionaryBytes + sizeBytes;
  for (let isLast = false; !isLast; ) {
    const header = number(bytes, at, BLOCK_HEADER_BYTES);
    if (Number.isNaN(header)) return header;
    isLast = (header & 1) !== 0;
    at += BLOCK_HEADER_BYTES + (((header >>> 1) & 3) === BLOCK_RLE ? 1 : header >>> 3);
  }
  return at + ((descriptor & 4) !== 0 ? CHECKSUM_BYTES : 0);
}

function isSkippable(magic: number): boolean {
  return magic >= SKIPPABLE_MAGIC && magic < SKIPPABLE_MAGIC + SKIPPABLE_MAGICS;
}

/** NaN where it is cut off. */
function number(bytes: Uint8Array, at: number, count: number): number {
  let value = 0;
  for (let byte = count - 1; byte >= 0; byte--) value = value * 256 + (bytes[at + byte] ?? Number.NaN);
  return value;
}
