/** The first 64 bytes of a delta: how long its parts are. docs/formats/delta.md has the table. */
import { ByteReader, ByteWriter, fromBytes, toBytes } from '../core/bytes.ts';
import { OsupdError } from '../core/errors.ts';
import { MAX_DELTA_HEAD_BYTES, MAX_DELTA_HEADER_BYTES } from '../core/limits.ts';
import { damagedDelta, damagedPart } from './damage.ts';

export const PROLOGUE_BYTES = 64;

const MAGIC = 'osupdlt1';
const VERSION = 1;

/** Flags that a reader must know: it refuses a delta with others of these. The upper half it may ignore. */
const REQUIRED_FLAGS = 0x0000ffff;

/** Lengths in bytes. */
export interface Prologue {
  /** The header as stored: one zstd frame. */
  readonly headerStored: number;
  readonly headerRaw: number;
  readonly images: number;
  readonly payload: number;
}

export function encodePrologue(prologue: Prologue): Buffer {
  const writer = new ByteWriter(PROLOGUE_BYTES);
  writer.bytes(toBytes(MAGIC));
  writer.u32(VERSION);
  writer.u32(0);
  writer.u32(prologue.headerStored);
  writer.u32(prologue.headerRaw);
  writer.u64(prologue.images);
  writer.u64(prologue.payload);
  writer.bytes(Buffer.alloc(PROLOGUE_BYTES - writer.length));
  return writer.finish();
}

/**
 * Parses the first {@link PROLOGUE_BYTES} of a delta.
 * @throws OsupdError `damaged-delta`; `unsupported` for a delta that needs a newer osupd.
 */
export function parsePrologue(bytes: Uint8Array): Prologue {
  const reader = new ByteReader(bytes, damagedPart('prologue'));
  if (fromBytes(reader.take(MAGIC.length, 'the magic number')) !== MAGIC) throw damagedDelta('this is no delta file');
  const version = reader.u32('the version');
  const flags = reader.u32('the flags');
  if (version !== VERSION || (flags & REQUIRED_FLAGS) !== 0)
    throw unsupportedDelta(`the delta has format version ${version}, flags ${flags}`);
  const prologue = {
    headerStored: reader.u32('the stored length of the header'),
    headerRaw: reader.u32('the length of the header'),
    images: reader.u64('the length of the image section'),
    payload: reader.u64('the length of the payload'),
  };
  const reserved = reader.take(PROLOGUE_BYTES - reader.offset, 'the prologue');
  if (reserved.some((byte) => byte !== 0)) throw damagedDelta('reserved bytes of the prologue are not zero');
  const { headerStored, headerRaw, images, payload } = prologue;
  if (Math.max(headerStored, headerRaw) > MAX_DELTA_HEADER_BYTES || images > MAX_DELTA_HEAD_BYTES)
    throw damagedDelta(`the delta claims a header of ${headerRaw} bytes and an image section of ${images} bytes`);
  if (!Number.isSafeInteger(headSize(prologue) + payload)) throw damagedDelta('the delta claims too many bytes');
  return prologue;
}

/** Bytes of prologue, header and image section: what a signed index vouches for. */
export function headSize({ headerStored, images }: Prologue): number {
  return PROLOGUE_BYTES + headerStored + images;
}

export function unsupportedDelta(message: string): OsupdError {
  return new OsupdError('unsupported', message, { remedy: 'update osupd itself first' });
}
