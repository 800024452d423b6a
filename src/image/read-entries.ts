/** Reads the entries in one block (or tail) of a directory. */
import type { ByteString } from '../core/bytes.ts';
import { ENTRY_BYTES } from '../tree/stored-names.ts';
import type { Damage } from './read-inode.ts';

/** A directory entry as it is stored. */
export interface StoredEntry {
  readonly name: ByteString;
  /** Number of the inode: its position divided by 32. */
  readonly nid: number;
  readonly type: number;
  /** First byte of the entry, and of its name. */
  readonly at: number;
  readonly nameAt: number;
}

/** The entries between two positions, which are inside the image. In a block, zeros may follow the last name. */
export function* readEntries(image: Buffer, start: number, end: number, damage: Damage): Generator<StoredEntry> {
  if (end - start < ENTRY_BYTES) throw damage('a directory entry is cut off', start);
  const first = image.readUInt16LE(start + 8);
  if (first === 0 || first % ENTRY_BYTES !== 0 || start + first > end)
    throw damage('the first name of a directory block is out of place', start + 8);
  let nameAt = start + first;
  for (let at = start; at < start + first; at += ENTRY_BYTES) {
    const isLast = at + ENTRY_BYTES === start + first;
    const nameEnd = isLast ? endOfLastName(image, nameAt, end) : start + image.readUInt16LE(at + ENTRY_BYTES + 8);
    if (nameEnd <= nameAt || nameEnd > end) throw damage('a name of a directory block is out of place', at + 8);
    if (image.readUInt32LE(at + 4) !== 0) throw damage('an entry points behind the image', at);
    yield {
      name: image.toString('latin1', nameAt, nameEnd),
      nid: image.readUInt32LE(at),
      type: image.readUInt8(at + 10),
      at,
      nameAt,
    };
    nameAt = nameEnd;
  }
}

function endOfLastName(image: Buffer, start: number, end: number): number {
  const zero = image.subarray(start, end).indexOf(0);
  return zero < 0 ? end : start + zero;
}
