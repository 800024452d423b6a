/**
 * The 512-byte header of a tar entry: checksum, format and numbers, strictly. Pure: bytes in, values out.
 *
 * POSIX.1-2024 pax, "ustar Interchange Format"; GNU tar manual, "Basic Tar Format" (base-256 numbers, old GNU sparse map).
 * Names and link targets are left to tar-stream. Numbers are read here because it reads negative base-256 numbers one off,
 * takes rubbish after octal digits, and keeps times in milliseconds.
 */
import type { OsupdError } from '../core/errors.ts';
import { parseSparsePair, type SparsePart } from './tar-sparse.ts';

export const BLOCK_BYTES = 512;

/** What is wrong, in words that go after the name of the archive. */
export type Refuse = (what: string) => OsupdError;

export interface TarHeader {
  /** The type flag as one character; that of old regular files, NUL, is given as `0`. */
  readonly type: string;
  readonly format: 'v7' | 'ustar' | 'gnu' | 'star';
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of data after the header, as the field says. */
  readonly size: number;
  /** Whole seconds. */
  readonly mtime: number;
  readonly major: number;
  readonly minor: number;
}

const FIELD = {
  mode: [100, 8],
  uid: [108, 8],
  gid: [116, 8],
  size: [124, 12],
  mtime: [136, 12],
  checksum: [148, 8],
  major: [329, 8],
  minor: [337, 8],
} as const;

/** The old GNU header of a sparse file: four pieces, whether more follow in blocks of their own, and the expanded size. */
const SPARSE = { parts: 386, count: 4, more: 482, realSize: 483 } as const;
/** A block with more pieces. */
const SPARSE_MORE = { parts: 0, count: 21, more: 504 } as const;

export function isZeroBlock(block: Uint8Array): boolean {
  return block.every((byte) => byte === 0);
}

/** Decodes a header block. @throws what `refuse` makes, for a checksum or number that is not right. */
export function parseHeader(block: Uint8Array, refuse: Refuse): TarHeader {
  const number = (name: keyof typeof FIELD) => parseNumber(block, FIELD[name][0], FIELD[name][1], name, refuse);
  const expected = number('checksum');
  if (expected !== checksum(block) && expected !== checksum(block, true))
    throw refuse('a header does not match its checksum');
  const type = block[156] === 0 ? '0' : String.fromCharCode(block[156] as number);
  const format = formatOf(block);
  const unsigned = (name: keyof typeof FIELD) => {
    const value = number(name);
    if (value < 0) throw refuse(`the ${name} in a header is negative`);
    return value;
  };
  const isDevice = type === '3' || type === '4';
  return {
    type,
    format,
    mode: unsigned('mode') & 0o7777,
    uid: unsigned('uid'),
    gid: unsigned('gid'),
    size: unsigned('size'),
    mtime: number('mtime'),
    // Other entries have anything there: old headers are not even filled with zeros.
    major: isDevice ? unsigned('major') : 0,
    minor: isDevice ? unsigned('minor') : 0,
  };
}

/**
 * The same header as that of a regular file with `size` bytes of data, for tar-stream: it then reads the names as they are
 * and gives just these bytes, whatever it thinks of the entry's type, format and numbers.
 */
export function plainHeader(block: Uint8Array, size: number): Buffer {
  const copy = Buffer.from(block);
  copy.fill(0, FIELD.mode[0], 157);
  copy[156] = 0x30;
  copy.write(sizeField(size), FIELD.size[0], 'latin1');
  // The prefix of a star header ends where its two more times begin.
  if (formatOf(block) === 'star') copy.fill(0, 476);
  copy.write(`${checksum(copy).toString(8).padStart(6, '0')}\0 `, FIELD.checksum[0], 'latin1');
  return copy;
}

function sizeField(size: number): string {
  const [, length] = FIELD.size;
  if (size < 8 ** (length - 1)) return `${size.toString(8).padStart(length - 1, '0')}\0`;
  const bytes = Buffer.alloc(length);
  bytes[0] = 0x80;
  bytes.writeBigUInt64BE(BigInt(size), length - 8);
  return bytes.toString('latin1');
}

/** The pieces in an old GNU sparse header, the expanded size, and whether a block with more pieces follows. */
export function parseSparseHeader(block: Uint8Array, refuse: Refuse) {
  return {
    ...sparseParts(block, SPARSE, refuse),
    realSize: parseNumber(block, SPARSE.realSize, 12, 'size of a sparse file', refuse),
  };
}

/** The pieces in a block that follows an old GNU sparse header. */
export function parseSparseBlock(block: Uint8Array, refuse: Refuse) {
  return sparseParts(block, SPARSE_MORE, refuse);
}

function sparseParts(block: Uint8Array, at: typeof SPARSE | typeof SPARSE_MORE, refuse: Refuse) {
  const parts: SparsePart[] = [];
  for (let index = 0; index < at.count; index++) {
    const offset = at.parts + index * 24;
    // A piece that is not there ends the list.
    if (block[offset] === 0) break;
    parts.push(
      parseSparsePair(
        parseNumber(block, offset, 12, 'offset of a sparse piece', refuse),
        parseNumber(block, offset + 12, 12, 'length of a sparse piece', refuse),
        refuse,
      ),
    );
  }
  return { parts, more: block[at.more] !== 0 };
}

function formatOf(block: Uint8Array): TarHeader['format'] {
  const magic = Buffer.from(block.buffer, block.byteOffset + 257, 8).toString('latin1');
  if (magic === 'ustar  \0') return 'gnu';
  if (!magic.startsWith('ustar\0')) return 'v7';
  return Buffer.from(block.buffer, block.byteOffset + 508, 4).toString('latin1') === 'tar\0' ? 'star' : 'ustar';
}

/** Sum of all bytes with the checksum's own taken as spaces; some old writers summed signed bytes. */
function checksum(block: Uint8Array, signed = false): number {
  const [offset, length] = FIELD.checksum;
  let sum = 0x20 * length;
  for (let at = 0; at < BLOCK_BYTES; at++) {
    if (at >= offset && at < offset + length) continue;
    const byte = block[at] as number;
    sum += signed && byte > 127 ? byte - 256 : byte;
  }
  return sum;
}

/** Octal digits that end with the field, a space or NUL; or, with the first bit set, a big-endian two's complement. */
function parseNumber(block: Uint8Array, offset: number, length: number, name: string, refuse: Refuse): number {
  const bytes = Buffer.from(block.buffer, block.byteOffset + offset, length);
  const first = bytes[0] as number;
  if (first >= 0x80) {
    const value = BigInt.asIntN(length * 8 - 1, BigInt(`0x${bytes.toString('hex')}`));
    if (value > MAX_NUMBER || value < -MAX_NUMBER) throw refuse(`the ${name} in a header is too large`);
    return Number(value);
  }
  const text = bytes.toString('latin1');
  const digits = /^ *([0-7]*)(?:[ \0]|$)/.exec(text)?.[1];
  if (digits === undefined) throw refuse(`the ${name} in a header is not a number`);
  return digits === '' ? 0 : Number.parseInt(digits, 8);
}

const MAX_NUMBER = BigInt(Number.MAX_SAFE_INTEGER);
