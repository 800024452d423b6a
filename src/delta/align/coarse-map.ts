/**
 * Where the ranges of an old file are in a new one, roughly: a chain of ranges that grows in both files. It says where
 * code and data moved to, so that references to them can be foretold.
 *
 * Stored form: a varint number of ranges; for each the varint distance from the start of the one before (0 for the first) in the old file; for
 * each the shift (new offset less old offset) less that of the one before, signed: 2n for n >= 0, -2n - 1 for n < 0. Lengths are not
 * stored: a range goes on until the next one begins, in the old file or in the new one.
 */
import { ByteReader, ByteWriter } from '../../core/bytes.ts';
import { damagedDelta, damagedPart } from '../damage.ts';

/** Ranges, by number. Each begins behind the end of the one before, in the old file and in the new one. Offsets in bytes. */
export interface CoarseMap {
  readonly oldAt: Uint32Array;
  readonly newAt: Uint32Array;
  readonly lengths: Uint32Array;
}

/** Moves an offset of the old file to the new one: by the shift of the range that holds it or ends last before it; 0 before the first. */
export function mapOffset({ oldAt, newAt }: CoarseMap, offset: number): number {
  let low = 0;
  let high = oldAt.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (oldAt[middle]! <= offset) low = middle + 1;
    else high = middle;
  }
  return low === 0 ? offset : offset + newAt[low - 1]! - oldAt[low - 1]!;
}

/**
 * The map whose ranges start at the given offsets, each as long as it can be.
 * @param oldAt, newAt rising offsets, below the sizes.
 */
export function coarseMapOf(oldAt: Uint32Array, newAt: Uint32Array, oldSize: number, newSize: number): CoarseMap {
  const lengths = oldAt.map((start, index) =>
    Math.min((oldAt[index + 1] ?? oldSize) - start, (newAt[index + 1] ?? newSize) - newAt[index]!),
  );
  return { oldAt, newAt, lengths };
}

/** The stored form of a map that `coarseMapOf` made. */
export function encodeCoarseMap({ oldAt, newAt }: CoarseMap): Uint8Array {
  const writer = new ByteWriter();
  writer.varint(oldAt.length);
  for (let index = 0; index < oldAt.length; index++) writer.varint(oldAt[index]! - (oldAt[index - 1] ?? 0));
  let last = 0;
  for (let index = 0; index < oldAt.length; index++) {
    const shift = newAt[index]! - oldAt[index]!;
    writer.varint(shift >= last ? 2 * (shift - last) : 2 * (last - shift) - 1);
    last = shift;
  }
  return writer.finish();
}

/**
 * Reads the stored form of a map between files of the given sizes, to its end.
 * @throws OsupdError `damaged-delta` where the ranges do not rise or are not within the files.
 */
export function parseCoarseMap(bytes: Uint8Array, oldSize: number, newSize: number): CoarseMap {
  const reader = new ByteReader(bytes, damagedPart('coarse map'));
  const count = reader.varint('number of ranges');
  if (count > reader.remaining / 2) throw damagedDelta(`a coarse map of ${bytes.length} bytes has ${count} ranges`);
  const oldAt = new Uint32Array(count);
  const newAt = new Uint32Array(count);
  let at = 0;
  for (let index = 0; index < count; index++) {
    const distance = reader.varint('distance of ranges');
    at += distance;
    if (at >= oldSize || (distance === 0 && index > 0))
      throw damagedDelta('a range of a coarse map is not in the old file');
    oldAt[index] = at;
  }
  let shift = 0;
  for (let index = 0; index < count; index++) {
    const change = reader.varint('change of shift');
    shift += change % 2 === 0 ? change / 2 : -(change + 1) / 2;
    at = oldAt[index]! + shift;
    if (at < 0 || at >= newSize || (index > 0 && at <= newAt[index - 1]!)) {
      throw damagedDelta('a range of a coarse map is not in the new file');
    }
    newAt[index] = at;
  }
  if (reader.remaining > 0) throw damagedDelta('a coarse map has bytes behind its end');
  return coarseMapOf(oldAt, newAt, oldSize, newSize);
}
