/** cpio archives in the format newc (Linux: Documentation/driver-api/early-userspace/buffer-format.rst), as initrds have them. */
import { type ByteString, fromBytes } from '../../core/bytes.ts';

/** A file in an archive, and where its content is. */
export interface CpioFile {
  readonly name: ByteString;
  readonly offset: number;
  readonly size: number;
}

/** "07070", and then 1, or 2 for headers with checksums. */
const MAGIC = [0x30, 0x37, 0x30, 0x37, 0x30];

/** Behind the magic number come thirteen numbers of eight hexadecimal digits. */
const HEADER_BYTES = 110;
const MODE_AT = 14;
const SIZE_AT = 54;
const NAME_SIZE_AT = 94;

const ALIGNMENT = 4;

const TYPE_MASK = 0o170000;
const REGULAR = 0o100000;

/** The name of the entry that ends an archive. */
const TRAILER = 'TRAILER!!!';

export function beginsCpio(bytes: Uint8Array, offset: number): boolean {
  const kind = bytes[offset + MAGIC.length];
  return MAGIC.every((byte, index) => bytes[offset + index] === byte) && (kind === 0x31 || kind === 0x32);
}

/** Offset behind the trailer of an archive that begins at `offset`; undefined where that is none, or is cut off. */
export function cpioEnd(bytes: Uint8Array, offset: number): number | undefined {
  const entries = entriesOf(bytes, offset);
  for (let next = entries.next(); ; next = entries.next()) if (next.done) return next.value;
}

/**
 * The files that have content, of all archives that follow one another, with zeros between them. What is neither ends the list: bytes may be
 * anything.
 */
export function* cpioFiles(bytes: Uint8Array): Generator<CpioFile> {
  for (let at = 0; at < bytes.length; ) {
    if (bytes[at] === 0) {
      at++;
      continue;
    }
    const end = yield* entriesOf(bytes, at);
    if (end === undefined) return;
    at = end;
  }
}

function* entriesOf(bytes: Uint8Array, start: number): Generator<CpioFile, number | undefined> {
  const aligned = (offset: number) => start + Math.ceil((offset - start) / ALIGNMENT) * ALIGNMENT;
  for (let at = start; bytes.length - at >= HEADER_BYTES; ) {
    if (!beginsCpio(bytes, at)) return undefined;
    const mode = hexadecimal(bytes, at + MODE_AT);
    const size = hexadecimal(bytes, at + SIZE_AT);
    const nameSize = hexadecimal(bytes, at + NAME_SIZE_AT);
    if (mode === undefined || size === undefined || nameSize === undefined || nameSize === 0) return undefined;
    const nameEnd = at + HEADER_BYTES + nameSize;
    const offset = aligned(nameEnd);
    if (offset + size > bytes.length) return undefined;
    // Without the NUL that ends it.
    const name = fromBytes(bytes.subarray(at + HEADER_BYTES, nameEnd - 1));
    const end = aligned(offset + size);
    if (name === TRAILER) return Math.min(end, bytes.length);
    if ((mode & TYPE_MASK) === REGULAR && size > 0) yield { name, offset, size };
    at = end;
  }
  return undefined;
}

function hexadecimal(bytes: Uint8Array, at: number): number | undefined {
  let value = 0;
  for (let index = at; index < at + 8; index++) {
    const byte = bytes[index]!;
    const lower = byte | 0x20;
    const digit = byte <= 0x39 ? byte - 0x30 : lower - 0x61 + 10;
    const isDigit = (byte >= 0x30 && byte <= 0x39) || (lower >= 0x61 && lower <= 0x66);
    if (!isDigit) return undefined;
    value = value * 16 + digit;
  }
  return value;
}
