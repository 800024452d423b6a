/**
 * Archives, compressed or not, back to back with zeros between them, as initrds are (Linux: Documentation/driver-api/early-userspace/
 * buffer-format.rst); and so files of zstd frames.
 */
import { constants, createZstdDecompress } from 'node:zlib';
import { ByteReader, ByteWriter, freeMemory } from '../../core/bytes.ts';
import { OsupdError } from '../../core/errors.ts';
import { MAX_ZSTD_WINDOW_LOG } from '../../core/limits.ts';
import { through } from '../../core/through.ts';
import type { Base } from '../codec.ts';
import { Cutter } from '../cutter.ts';
import { damagedDelta, damagedPart } from '../damage.ts';
import { readBases } from '../read-base.ts';
import type { StreamedContainer, UnpackedFile } from './container.ts';
import { beginsCpio, cpioEnd } from './cpio.ts';
import {
  beginsLegacyFrame,
  encodeLegacyDecisions,
  LegacyRestorer,
  legacyContent,
  legacyFrameEnd,
  readLegacyFrame,
} from './lz4/legacy-frame.ts';
import { encodeDecisions } from './zstd/encode-decisions.ts';
import { beginsZstd, framesEnd } from './zstd/find-end.ts';
import { readZstd } from './zstd/read-frame.ts';
import { restoreZstd } from './zstd/restore-frames.ts';

/** How a piece of a file is stored; the recipe has these numbers. */
const PLAIN = 0;
const ZSTD = 1;
const LZ4 = 2;
type Storage = typeof PLAIN | typeof ZSTD | typeof LZ4;

interface Piece {
  readonly storage: Storage;
  readonly bytes: Uint8Array;
}

export const archives: StreamedContainer = {
  name: 'archives',
  begins(bytes) {
    return beginsCpio(bytes, 0) || beginsZstd(bytes, 0) || beginsLegacyFrame(bytes, 0);
  },
  describe(bytes, limit) {
    return describe(piecesOf(bytes), limit);
  },
  async *unpackStream(base) {
    yield unpack(base);
  },
  async *restoreStream([part, more], recipe) {
    if (part === undefined || more !== undefined) throw damagedDelta('archives have one part');
    const reader = new ByteReader(recipe, damagedPart('recipe of archives'));
    const { size, chunks } = part;
    await using cutter = new Cutter(chunks, () => damagedDelta('archives have less content than their pieces'));
    let left = size;
    for (let pieces = reader.varint('the number of pieces'); pieces > 0; pieces--) {
      const storage = reader.varint('how a piece is stored');
      const length = reader.varint('the size of a piece');
      left -= length;
      if (left < 0) throw damagedDelta('archives have less content than their pieces');
      const own = cutter.next(length);
      if (storage === PLAIN) yield* own;
      else if (storage === ZSTD)
        yield* restoreZstd(own, reader.take(reader.varint('the size of decisions'), 'decisions'));
      else if (storage === LZ4)
        yield* restoreLegacy(own, reader.take(reader.varint('the size of decisions'), 'decisions'));
      else throw damagedDelta(`archives have a piece that is stored in the way ${storage}`);
    }
    if (left > 0 || reader.remaining > 0) throw damagedDelta('archives have more content than their pieces');
  },
};

async function* unpack(base: Base): AsyncGenerator<Uint8Array> {
  const bytes = await readBases([base]);
  for (const piece of piecesOf(bytes)) yield* contentOf(piece);
  freeMemory(bytes);
}

/** Everything behind what is not understood is one plain piece. */
function piecesOf(bytes: Uint8Array): Piece[] {
  const pieces: Piece[] = [];
  let plainFrom = 0;
  for (let at = 0; at < bytes.length; ) {
    const storage = beginsZstd(bytes, at) ? ZSTD : LZ4;
    const framed = storage === ZSTD ? framesEnd(bytes, at) : legacyFrameEnd(bytes, at, bytes.length);
    if (framed !== undefined) {
      if (plainFrom < at) pieces.push({ storage: PLAIN, bytes: bytes.subarray(plainFrom, at) });
      pieces.push({ storage, bytes: bytes.subarray(at, framed) });
      plainFrom = framed;
    }
    at = framed ?? plainEnd(bytes, at);
  }
  if (plainFrom < bytes.length) pieces.push({ storage: PLAIN, bytes: bytes.subarray(plainFrom) });
  return pieces;
}

function plainEnd(bytes: Uint8Array, start: number): number {
  let at = beginsCpio(bytes, start) ? cpioEnd(bytes, start) : start;
  while (at !== undefined && bytes[at] === 0) at++;
  return at === undefined || at === start ? bytes.length : at;
}

function contentOf({ storage, bytes }: Piece): AsyncIterable<Uint8Array> {
  if (storage === LZ4) return legacyContent(bytes, 0, bytes.length);
  return storage === PLAIN ? once(bytes) : decompressed(bytes);
}

async function* decompressed(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  const params = { [constants.ZSTD_d_windowLogMax]: MAX_ZSTD_WINDOW_LOG };
  try {
    yield* through(once(bytes), createZstdDecompress({ params }));
  } catch (error) {
    if (error instanceof OsupdError) throw error;
    throw damagedDelta(`a base has a damaged zstd frame: ${(error as Error).message}`, undefined, error);
  }
}

/** A piece that is compressed has decisions; undefined where they cannot be told. */
function readPiece(
  { storage, bytes }: Piece,
  limit: number,
): { readonly content: Uint8Array; readonly decisions?: Uint8Array } | undefined {
  if (storage === PLAIN) return { content: bytes };
  if (storage === ZSTD) {
    const file = readZstd(bytes, { contentBytes: limit, windowBytes: 2 ** MAX_ZSTD_WINDOW_LOG });
    const decisions = file === undefined ? undefined : encodeDecisions(file);
    return file === undefined || decisions === undefined ? undefined : { content: file.content, decisions };
  }
  const frame = readLegacyFrame(bytes, 0, bytes.length, limit);
  const decisions = frame?.end === bytes.length ? encodeLegacyDecisions(frame) : undefined;
  return frame === undefined || decisions === undefined ? undefined : { content: frame.content, decisions };
}

async function* restoreLegacy(content: AsyncIterable<Uint8Array>, decisions: Uint8Array): AsyncGenerator<Uint8Array> {
  const restorer = new LegacyRestorer(decisions);
  for await (const chunk of content) yield* restorer.append(chunk);
  yield* restorer.finish();
}

function describe(pieces: readonly Piece[], limit: number): UnpackedFile | undefined {
  const out = new ByteWriter();
  const contents: Uint8Array[] = [];
  let left = limit;
  out.varint(pieces.length);
  for (const { storage, bytes } of pieces) {
    const read = readPiece({ storage, bytes }, left);
    if (read === undefined || read.content.length > left) return undefined;
    out.varint(storage);
    out.varint(read.content.length);
    left -= read.content.length;
    contents.push(read.content);
    if (read.decisions === undefined) continue;
    out.varint(read.decisions.length);
    out.bytes(read.decisions);
  }
  const [first] = contents;
  return { parts: [contents.length === 1 ? first! : Buffer.concat(contents)], recipe: out.finish() };
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
