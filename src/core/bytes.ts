/**
 * Byte strings and cursors over bytes.
 *
 * A {@link ByteString} is a JavaScript string in which each character is one byte (0..255), as `latin1` decodes it. File
 * names, link targets and xattr names are bytes on Linux, not text; in this form they can be compared and used as keys,
 * and `<` orders them as strcmp does.
 */
import type { OsupdError } from './errors.ts';

/** A string of bytes: every character is 0..255. See the file header. */
export type ByteString = string;

/** The bytes of a byte string. */
export function toBytes(text: ByteString): Buffer {
  return Buffer.from(text, 'latin1');
}

/** The byte string of some bytes. */
export function fromBytes(bytes: Uint8Array): ByteString {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

/** The byte string of a text, as UTF-8. */
export function fromText(text: string): ByteString {
  return Buffer.from(text, 'utf8').toString('latin1');
}

/** A byte string as text for people: UTF-8 where it is valid and printable, `\xhh` for every other byte. */
export function toText(bytes: ByteString): string {
  const buffer = toBytes(bytes);
  const text = buffer.toString('utf8');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are just what must be found
  if (!/[\u0000-\u001f\u007f-\u009f\ufffd\u2028\u2029]/u.test(text)) return text;
  let out = '';
  for (const byte of buffer) {
    out +=
      byte >= 0x20 && byte < 0x7f && byte !== 0x5c
        ? String.fromCharCode(byte)
        : `\\x${byte.toString(16).padStart(2, '0')}`;
  }
  return out;
}

/** Compares byte strings as strcmp does: negative, zero or positive. */
export function compareBytes(a: ByteString, b: ByteString): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** What a {@link ByteReader} throws when the input ends too early or a number is out of range. */
export type BadInput = (what: string, offset: number) => OsupdError;

/** Reads little-endian numbers and LEB128 varints from untrusted bytes; every read is checked against the end. */
export class ByteReader {
  readonly bytes: Uint8Array;
  offset: number;
  readonly #view: DataView;
  readonly #bad: BadInput;

  /** @param bad makes the error for a read past the end or a number out of range, given what was read and where. */
  constructor(bytes: Uint8Array, bad: BadInput, offset = 0) {
    this.bytes = bytes;
    this.offset = offset;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#bad = bad;
  }

  get remaining(): number {
    return this.bytes.length - this.offset;
  }

  #take(count: number, what: string): number {
    const at = this.offset;
    if (count > this.bytes.length - at) throw this.#bad(`${what} is cut off`, at);
    this.offset = at + count;
    return at;
  }

  u8(what: string): number {
    return this.#view.getUint8(this.#take(1, what));
  }

  u16(what: string): number {
    return this.#view.getUint16(this.#take(2, what), true);
  }

  u32(what: string): number {
    return this.#view.getUint32(this.#take(4, what), true);
  }

  /** A 64-bit number that must fit in 53 bits. */
  u64(what: string): number {
    const at = this.#take(8, what);
    const value = this.#view.getBigUint64(at, true);
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw this.#bad(`${what} is too large`, at);
    return Number(value);
  }

  /** An unsigned LEB128 number of at most 53 bits, in its shortest form. */
  varint(what: string): number {
    let value = 0;
    let scale = 1;
    for (let count = 0; count < 8; count++) {
      const at = this.offset;
      const byte = this.u8(what);
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (value > Number.MAX_SAFE_INTEGER) throw this.#bad(`${what} is too large`, at);
        if (byte === 0 && count > 0) throw this.#bad(`${what} is not in its shortest form`, at);
        return value;
      }
      scale *= 128;
    }
    throw this.#bad(`${what} is too large`, this.offset);
  }

  /** A view (not a copy) of the next `count` bytes. */
  take(count: number, what: string): Uint8Array {
    const at = this.#take(count, what);
    return this.bytes.subarray(at, at + count);
  }
}

/** Writes little-endian numbers and LEB128 varints into a buffer that grows. */
export class ByteWriter {
  #buffer: Buffer;
  #length = 0;

  constructor(capacity = 256) {
    this.#buffer = Buffer.alloc(capacity);
  }

  get length(): number {
    return this.#length;
  }

  #grow(count: number): number {
    const at = this.#length;
    const end = at + count;
    if (end > this.#buffer.length) {
      const larger = Buffer.alloc(Math.max(end, this.#buffer.length * 2));
      this.#buffer.copy(larger, 0, 0, at);
      this.#buffer = larger;
    }
    this.#length = end;
    return at;
  }

  u8(value: number): void {
    const at = this.#grow(1);
    this.#buffer.writeUInt8(value, at);
  }

  u16(value: number): void {
    const at = this.#grow(2);
    this.#buffer.writeUInt16LE(value, at);
  }

  u32(value: number): void {
    const at = this.#grow(4);
    this.#buffer.writeUInt32LE(value, at);
  }

  u64(value: number): void {
    const at = this.#grow(8);
    this.#buffer.writeBigUInt64LE(BigInt(value), at);
  }

  /** Unsigned LEB128; `value` must be a non-negative safe integer. */
  varint(value: number): void {
    if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`varint of ${value}`);
    let rest = value;
    while (rest >= 0x80) {
      this.u8((rest % 128) | 0x80);
      rest = Math.floor(rest / 128);
    }
    this.u8(rest);
  }

  bytes(bytes: Uint8Array): void {
    const at = this.#grow(bytes.length);
    this.#buffer.set(bytes, at);
  }

  /** What was written so far; a view that later writes may leave behind. */
  finish(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }
}

const MIN_FREED_BYTES = 64 << 10;

/**
 * Gives the memory of an array back at once, which nothing may use any more: the runtime lets a hundred megabytes pile up before it looks
 * what of them is in use. Small arrays are left to it: they may lie in a buffer with others.
 */
export function freeMemory({ buffer, byteLength }: ArrayBufferView): void {
  if (byteLength >= MIN_FREED_BYTES && byteLength === buffer.byteLength && buffer instanceof ArrayBuffer)
    buffer.transfer(0);
}

/** Joins chunks into one buffer. */
export async function collect(chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return Buffer.concat(parts);
}

/** Like {@link collect}, but refuses more than `limit` bytes with the given error. */
export async function collectAtMost(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  limit: number,
  tooLong: () => OsupdError,
): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  let total = 0;
  for await (const chunk of chunks) {
    total += chunk.length;
    if (total > limit) throw tooLong();
    parts.push(chunk);
  }
  return Buffer.concat(parts);
}
