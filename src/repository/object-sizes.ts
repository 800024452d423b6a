/**
 * `sizes/IMAGE.zst`: the stored size of every object of an image, so that a device can count the bytes of a download of single
 * objects before it begins. Unsigned LEB128 numbers, in the order of `objectsOf` (tree/references.ts), as one zstd frame.
 */
import { ByteReader, ByteWriter } from '../core/bytes.ts';
import { OsupdError } from '../core/errors.ts';
import { compressBytes, decompressBytes } from './zstd.ts';

/** A size takes at most 8 bytes. */
const MAX_SIZE_BYTES = 8;

/** The file's bytes for stored sizes in bytes. */
export function encodeObjectSizes(sizes: readonly number[]): Promise<Buffer> {
  const writer = new ByteWriter(sizes.length * 2 + 1);
  for (const size of sizes) writer.varint(size);
  // The effort is fixed: the same sizes always give the same file.
  return compressBytes(writer.finish(), 9);
}

/**
 * Reads the file.
 * @param count number of objects of the image
 * @param where what the bytes are, for messages
 * @throws OsupdError `verification-failed`
 */
export async function decodeObjectSizes(bytes: Uint8Array, count: number, where: string): Promise<number[]> {
  const bad = (what: string, cause?: unknown) =>
    new OsupdError('verification-failed', `not valid object sizes: ${what}`, { where, cause });
  const raw = await decompressBytes(bytes, count * MAX_SIZE_BYTES, bad);
  const reader = new ByteReader(raw, (what, offset) => bad(`${what} at byte ${offset}`));
  const sizes = Array.from({ length: count }, () => reader.varint('a size'));
  if (reader.remaining > 0) throw bad(`${reader.remaining} bytes too many`);
  return sizes;
}
