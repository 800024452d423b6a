/**
 * Divides zstd data (RFC 8878) into pieces that each stand for little content, without decoding it. So it is known before a
 * decoder is asked how much memory a frame takes, and that the data does not end within one.
 */
import { MAX_PORTABLE_ZSTD_WINDOW_BYTES } from '../core/limits.ts';
import { ChunkReader } from './chunk-reader.ts';
import type { Refuse } from './tar-header.ts';

/** Some blocks of one frame; before the first of them is the frame's header. */
export interface ZstdPiece {
  readonly bytes: Uint8Array;
  /** The frame ends with this piece. */
  readonly last: boolean;
}

const FRAME_MAGIC = 0xfd2fb528;

/** The first of sixteen magic numbers of frames that decoders skip. */
const SKIPPABLE_MAGIC = 0x184d2a50;

/** Most content of one block (section 3.1.1.2.4), and most bytes that it is stored in. */
const MAX_BLOCK_BYTES = 1 << 17;

/** A piece ends with this many blocks, 2 MiB of content, or when its blocks have this many bytes. */
const PIECE_BLOCKS = 16;
const PIECE_BYTES = 1 << 17;

/** Its content is one byte, repeated. */
const RLE_BLOCK = 1;

type Take = (length: number) => Promise<Buffer>;

/**
 * The pieces of all frames of `data`. Frames that decoders skip are left out.
 * @throws OsupdError made by `refuse` when the data is cut off or goes on with what is no frame, and for a frame that needs a
 * dictionary or a window above MAX_PORTABLE_ZSTD_WINDOW_BYTES; errors of `data` pass through.
 */
export async function* zstdPieces(data: AsyncIterable<Uint8Array>, refuse: Refuse): AsyncGenerator<ZstdPiece> {
  const reader = new ChunkReader(data);
  const take: Take = async (length) => {
    const bytes = await reader.read(length);
    if (bytes.length < length) throw refuse('it is cut off');
    // A copy, as the source may use its buffer again.
    return Buffer.from(bytes);
  };
  try {
    for (;;) {
      const first = await reader.read(1);
      if (first.length === 0) return;
      const start = Buffer.concat([first, await take(3)]);
      const magic = start.readUInt32LE();
      if (magic === FRAME_MAGIC) yield* framePieces(start, take, refuse);
      else if (magic >>> 4 === SKIPPABLE_MAGIC >>> 4) await skip(reader, (await take(4)).readUInt32LE(), refuse);
      else throw refuse('it goes on with what is no zstd frame');
    }
  } finally {
    await reader.close();
  }
}

async function skip(reader: ChunkReader, length: number, refuse: Refuse): Promise<void> {
  let left = length;
  for await (const part of reader.stretch(length)) left -= part.length;
  if (left > 0) throw refuse('it is cut off');
}

async function* framePieces(magic: Buffer, take: Take, refuse: Refuse): AsyncGenerator<ZstdPiece> {
  const { header, hasChecksum } = await takeFrameHeader(take, refuse);
  let parts = [magic, header];
  let [blocks, bytes] = [0, 0];
  for (let last = false; !last; ) {
    const blockHeader = await take(3);
    const word = blockHeader.readUIntLE(0, 3);
    last = (word & 1) === 1;
    const type = (word >>> 1) & 3;
    const size = word >>> 3;
    if (size > MAX_BLOCK_BYTES) throw refuse('a block of it is larger than can be');
    const block = await take(type === RLE_BLOCK ? 1 : size);
    parts.push(blockHeader, block);
    bytes += block.length;
    if (last && hasChecksum) parts.push(await take(4));
    if (!last && ++blocks < PIECE_BLOCKS && bytes < PIECE_BYTES) continue;
    yield { bytes: Buffer.concat(parts), last };
    parts = [];
    [blocks, bytes] = [0, 0];
  }
}

/** Section 3.1.1.1: a descriptor, then the window, a dictionary's number and the content's size as far as it says. */
async function takeFrameHeader(take: Take, refuse: Refuse): Promise<{ header: Buffer; hasChecksum: boolean }> {
  const start = await take(1);
  const descriptor = start.readUInt8();
  const isSingleSegment = (descriptor & 0x20) !== 0;
  const windowBytes = isSingleSegment ? 0 : 1;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3] ?? 0;
  const sizeBytes = [isSingleSegment ? 1 : 0, 2, 4, 8][descriptor >>> 6] ?? 0;
  const fields = await take(windowBytes + dictionaryBytes + sizeBytes);
  const dictionary = fields.subarray(windowBytes, windowBytes + dictionaryBytes);
  if (dictionary.some((byte) => byte !== 0)) throw refuse('it needs a dictionary');
  // A frame of one segment keeps all of its content as its window.
  const window = isSingleSegment ? contentSize(fields.subarray(dictionaryBytes)) : windowSize(fields.readUInt8());
  if (window > MAX_PORTABLE_ZSTD_WINDOW_BYTES) throw refuse(windowReason(window));
  return { header: Buffer.concat([start, fields]), hasChecksum: (descriptor & 4) !== 0 };
}

function windowSize(descriptor: number): number {
  return 2 ** (10 + (descriptor >>> 3)) * (1 + (descriptor & 7) / 8);
}

function contentSize(field: Buffer): number {
  if (field.length === 8) return Number(field.readBigUInt64LE());
  return field.readUIntLE(0, field.length) + (field.length === 2 ? 256 : 0);
}

function windowReason(window: number): string {
  const mebibytes = (bytes: number) => Math.ceil(bytes / 2 ** 20);
  const limit = mebibytes(MAX_PORTABLE_ZSTD_WINDOW_BYTES);
  return (
    `it needs a window of ${mebibytes(window)} MiB, and without zstd in Node.js at most ${limit} MiB are read; ` +
    'a Node.js with zstd reads it'
  );
}
