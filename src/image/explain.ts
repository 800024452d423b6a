/** Explains an image: every range of its bytes with what it is and what it says. */
import { type ByteString, toText } from '../core/bytes.ts';
import { OsupdError } from '../core/errors.ts';
import { ENTRY_BYTES } from '../tree/stored-names.ts';
import { HEADER_FIELDS, inodeFields, type ShownField, SUPERBLOCK_FIELDS, showBytes } from './explain-fields.ts';
import {
  BLOCK_BYTES,
  ENTRY_TYPE,
  HEADER,
  INODES_START,
  LAYOUT,
  SLOT_BYTES,
  SUPERBLOCK,
  XATTR_HEADER_BYTES,
} from './format.ts';
import { type Extents, ImageReader } from './read.ts';
import { readEntries } from './read-entries.ts';
import type { StoredInode } from './read-inode.ts';
import type { XattrEntry, XattrReader } from './read-xattrs.ts';

/** A range of an image's bytes. */
export interface Explained {
  readonly at: number;
  readonly bytes: number;
  /** The structure that the range is in: `superblock`, `inode 7 /usr/bin`. */
  readonly section: string;
  readonly name: string;
  readonly value: string;
}

/**
 * The lines that explain an image: a line for each structure, and below it `OFFSET BYTES FIELD VALUE` for each of its ranges, in the
 * order of the file. Of a damaged image that can be read in part, that part and a last line that says what is wrong.
 */
export function* explainImage(bytes: Uint8Array, where?: string): Generator<string> {
  const { ranges, damage } = readRanges(bytes, where);
  let section = '';
  for (const range of ranges) {
    if (range.section !== section) yield `${range.section}\n`;
    section = range.section;
    const place = `${String(range.at).padStart(10)} ${String(range.bytes).padStart(6)}`;
    yield `${`${place}  ${range.name.padEnd(24)} ${range.value}`.trimEnd()}\n`;
  }
  if (damage !== undefined) yield `damaged: ${damage.message}\n`;
}

/** The ranges of an image, which together are all of its bytes; of a damaged one, those that can be read. */
export function explainRanges(bytes: Uint8Array): Iterable<Explained> {
  return readRanges(bytes, undefined).ranges;
}

interface FoundInode {
  readonly path: ByteString;
  readonly inode: StoredInode;
  readonly extents: Extents;
}

/** Reads as far as possible; the ranges are made when they are asked for. */
function readRanges(
  bytes: Uint8Array,
  where: string | undefined,
): { ranges: Iterable<Explained>; damage?: OsupdError } {
  const inodes: FoundInode[] = [];
  let xattrs: XattrReader | undefined;
  let hasSuperblock = false;
  const reader = new ImageReader(bytes, where, {
    superblock: () => {
      hasSuperblock = true;
    },
    inode: (path, inode, extents, xattrReader) => {
      xattrs = xattrReader;
      inodes.push({ path, inode, extents });
    },
  });
  const image = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  try {
    reader.read();
  } catch (error) {
    if (!(error instanceof OsupdError)) throw error;
    return { ranges: hasSuperblock ? new Explainer(image, inodes, xattrs, false).ranges() : [], damage: error };
  }
  return { ranges: new Explainer(image, inodes, xattrs, true).ranges() };
}

class Explainer {
  readonly #image: Buffer;
  readonly #inodes: readonly FoundInode[];
  readonly #xattrs: XattrReader | undefined;
  readonly #isWhole: boolean;
  /** End of what was explained so far. */
  #end = 0;
  #section = '';

  constructor(image: Buffer, inodes: readonly FoundInode[], xattrs: XattrReader | undefined, isWhole: boolean) {
    this.#image = image;
    this.#inodes = inodes;
    this.#xattrs = xattrs;
    this.#isWhole = isWhole;
  }

  *ranges(): Generator<Explained> {
    this.#section = 'composefs header';
    yield* this.#fields(HEADER_FIELDS, 0, HEADER.bytes);
    this.#section = 'EROFS superblock';
    yield* this.#fields(SUPERBLOCK_FIELDS, SUPERBLOCK.at, INODES_START);
    for (const found of this.#inodes) yield* this.#inode(found);
    if (!this.#isWhole) return;
    this.#section = 'shared xattrs';
    const shared = [...(this.#xattrs?.shared ?? [])].sort((a, b) => a.at - b.at);
    for (const entry of shared) yield* this.#xattr(entry);
    for (const found of this.#inodes) yield* this.#blocks(found);
    if (this.#end < this.#image.length) yield* this.#upTo(this.#image.length);
  }

  /** A range; bytes between the one before and this one are padding. */
  *#range(at: number, bytes: number, name: string, value: string): Generator<Explained> {
    if (at > this.#end) yield* this.#upTo(at);
    if (bytes > 0) yield { at, bytes, section: this.#section, name, value };
    this.#end = Math.max(this.#end, at + bytes);
  }

  *#upTo(end: number): Generator<Explained> {
    const at = this.#end;
    const padding = this.#image.subarray(at, end);
    const isZero = padding.every((byte) => byte === 0);
    this.#end = end;
    yield {
      at,
      bytes: end - at,
      section: this.#section,
      name: isZero ? 'zeros' : 'not zero as it should be',
      value: isZero ? '' : showBytes(padding),
    };
  }

  *#fields(fields: readonly ShownField[], start: number, end: number): Generator<Explained> {
    const sorted = [...fields].sort((a, b) => a.offset - b.offset);
    for (const { name, offset, bytes, show } of sorted) {
      yield* this.#range(start + offset, bytes, name, show(this.#number(start + offset, bytes)));
    }
    if (this.#end < end) yield* this.#upTo(end);
  }

  #number(at: number, bytes: ShownField['bytes']): bigint {
    return bytes === 8 ? this.#image.readBigUInt64LE(at) : BigInt(this.#image.readUIntLE(at, bytes));
  }

  *#inode({ path, inode, extents }: FoundInode): Generator<Explained> {
    // Padding before an inode belongs to the structure before it.
    if (inode.at > this.#end) yield* this.#upTo(inode.at);
    this.#section = `inode ${inode.number} ${toText(path)}`;
    yield* this.#fields(inodeFields(inode), inode.at, inode.xattrAt);
    if (inode.xattrBytes > 0) yield* this.#xattrArea(inode);
    const { tailAt, tail } = extents;
    if (inode.type === 'directory') yield* this.#entries(tailAt, tailAt + tail);
    else if (inode.layout === LAYOUT.chunks) yield* this.#range(tailAt, tail, 'chunks', chunksText(tail));
    else yield* this.#range(tailAt, tail, 'content', showBytes(this.#image.subarray(tailAt, tailAt + tail)));
  }

  *#xattrArea(inode: StoredInode): Generator<Explained> {
    const at = inode.xattrAt;
    const reader = this.#xattrs as XattrReader;
    yield* this.#range(at, 4, 'xattr name filter', `0x${this.#image.readUInt32LE(at).toString(16)}`);
    yield* this.#range(at + 4, 1, 'shared xattrs', String(this.#image.readUInt8(at + 4)));
    let idAt = at + XATTR_HEADER_BYTES;
    for (const entry of reader.sharedOf(inode)) {
      yield* this.#range(
        idAt,
        4,
        'shared xattr',
        `${this.#image.readUInt32LE(idAt)}: ${toText(entry.name)} at ${entry.at}`,
      );
      idAt += 4;
    }
    if (idAt > this.#end) yield* this.#upTo(idAt);
    for (const entry of reader.ownOf(inode)) yield* this.#xattr(entry);
  }

  *#xattr({ name, value, at, end, paddedEnd }: XattrEntry): Generator<Explained> {
    yield* this.#range(at, end - at, 'xattr', `${toText(name)} = ${showBytes(value)}`);
    if (paddedEnd > this.#end) yield* this.#upTo(paddedEnd);
  }

  *#blocks({ path, inode, extents }: FoundInode): Generator<Explained> {
    const { blockAt, blocks, tail } = extents;
    for (let block = 0; block < blocks; block++) {
      const start = blockAt + block * BLOCK_BYTES;
      if (start > this.#end) yield* this.#upTo(start);
      this.#section = `block ${start / BLOCK_BYTES} of inode ${inode.number} ${toText(path)}`;
      if (inode.type === 'directory') {
        yield* this.#entries(start, start + BLOCK_BYTES);
      } else if (inode.layout === LAYOUT.chunks) {
        yield* this.#range(start, BLOCK_BYTES, 'chunks', chunksText(BLOCK_BYTES));
      } else {
        const bytes = Math.min(BLOCK_BYTES, inode.size - tail - block * BLOCK_BYTES);
        yield* this.#range(start, bytes, 'content', showBytes(this.#image.subarray(start, start + bytes)));
      }
      if (start + BLOCK_BYTES > this.#end) yield* this.#upTo(start + BLOCK_BYTES);
    }
  }

  *#entries(start: number, end: number): Generator<Explained> {
    if (end <= start) return;
    let names = 0;
    let namesAt = end;
    try {
      for (const { name, nid, type, at, nameAt } of readEntries(this.#image, start, end, damaged)) {
        if (names === 0) namesAt = nameAt;
        names += name.length;
        const typeName = Object.entries(ENTRY_TYPE).find(([, number]) => number === type)?.[0] ?? `type ${type}`;
        yield* this.#range(at, ENTRY_BYTES, 'entry', `${toText(name)}: ${typeName}, inode at ${nid * SLOT_BYTES}`);
      }
      yield* this.#range(namesAt, names, 'names of the entries', '');
    } catch (error) {
      if (!(error instanceof OsupdError) || error.code !== 'damaged-image') throw error;
      yield* this.#range(this.#end, end - this.#end, 'entries that cannot be read', error.message);
    }
  }
}

function chunksText(bytes: number): string {
  return `${bytes / 4} without a block`;
}

/** For entries of a directory that the reader did not come to. */
function damaged(what: string): OsupdError {
  return new OsupdError('damaged-image', what);
}
