/** One line of dump text: its fields, and the numbers, names and values in them. */
import { type ByteString, toText } from '../core/bytes.ts';
import { type Digest, isDigest } from '../core/digest.ts';
import { OsupdError } from '../core/errors.ts';
import { MAX_DUMP_XATTR_TEXT_BYTES, MAX_PAYLOAD_BYTES } from '../core/limits.ts';
import { unescapeField } from './dump-escape.ts';
import { brokenXattrRule } from './rules.ts';
import { EPOCH, type Time } from './tree.ts';

/** The fixed fields of a line, in order. */
export type Field =
  | 'PATH'
  | 'SIZE'
  | 'MODE'
  | 'NLINK'
  | 'UID'
  | 'GID'
  | 'RDEV'
  | 'MTIME'
  | 'PAYLOAD'
  | 'CONTENT'
  | 'DIGEST';

const FIELDS: Readonly<Record<Field, number>> = {
  PATH: 0,
  SIZE: 1,
  MODE: 2,
  NLINK: 3,
  UID: 4,
  GID: 5,
  RDEV: 6,
  MTIME: 7,
  PAYLOAD: 8,
  CONTENT: 9,
  DIGEST: 10,
};
const FIELD_COUNT = 11;

const SPACE = 0x20;
const DOT = 0x2e;
const MINUS = 0x2d;
const AT_SIGN = 0x40;
const ZERO = 0x30;
const MAX_U32 = 2 ** 32 - 1;
const MAX_U64 = 2n ** 64n - 1n;
const MIN_I64 = -(2n ** 63n);

/** A cursor over the lines of a dump. */
export class DumpLine {
  readonly #bytes: Buffer;
  readonly #where: string | undefined;
  readonly #starts = new Int32Array(FIELD_COUNT);
  readonly #ends = new Int32Array(FIELD_COUNT);
  #xattrStart = 0;
  #end = 0;
  #number = 0;
  #path: ByteString | undefined;
  #time: Time = EPOCH;
  /** The last xattrs and their text: neighbours often have the same. */
  #xattrText = '';
  #xattrs: ReadonlyMap<ByteString, Uint8Array> = new Map();

  /** @param where names the dump in messages. */
  constructor(bytes: Buffer, where: string | undefined) {
    this.#bytes = bytes;
    this.#where = where;
  }

  /** Number of the line, from 1. */
  get number(): number {
    return this.#number;
  }

  /** Goes to the next line, which is between two positions. Fields that it leaves out are empty. */
  next(start: number, end: number): void {
    this.#number++;
    this.#path = undefined;
    this.#end = end;
    let at = start;
    for (let field = 0; field < FIELD_COUNT; field++) {
      this.#starts[field] = at;
      while (at < end && this.#bytes[at] !== SPACE) at++;
      this.#ends[field] = at;
      if (at < end) at++;
    }
    this.#xattrStart = at;
  }

  /** The error for this line. */
  refuse(rule: string, field?: Field): OsupdError {
    return this.refuseLine(rule, this.#number, field, this.#path);
  }

  /** The error for some line, or with line 0 for the whole dump. */
  refuseLine(rule: string, line: number, field?: Field, path?: ByteString): OsupdError {
    const name = path === undefined ? '' : ` (${toText(path.length > 200 ? `${path.slice(0, 200)}...` : path)})`;
    const place = line === 0 ? '' : `line ${line}${name}${field === undefined ? '' : `, ${field}`}: `;
    return new OsupdError('invalid-dump', `${place}${rule}`, {
      ...(this.#where === undefined ? {} : { where: this.#where }),
      facts: { rule, ...(line === 0 ? {} : { line }), ...(field === undefined ? {} : { field }) },
    });
  }

  #length(field: number): number {
    return (this.#ends[field] as number) - (this.#starts[field] as number);
  }

  /** True for a field that the line left out. */
  isEmpty(field: Field): boolean {
    return this.#length(FIELDS[field]) === 0;
  }

  #text(field: Field): string {
    const index = FIELDS[field];
    return this.#bytes.toString('latin1', this.#starts[index], this.#ends[index]);
  }

  #unescaped(field: Field): ByteString {
    return unescapeField(this.#text(field), (rule) => this.refuse(rule, field));
  }

  /** A field in which `-` stands for "not set". */
  #optional(field: Field): ByteString | undefined {
    const index = FIELDS[field];
    if (this.#length(index) === 1 && this.#bytes[this.#starts[index] as number] === MINUS) return undefined;
    return this.#unescaped(field);
  }

  path(): ByteString {
    const text = this.#text('PATH');
    const path = unescapeField(text, (rule) => this.refuse(rule, 'PATH'));
    this.#path = path;
    // A slash that was escaped looks like a part of a name and would not be one.
    if (path !== text && countSlashes(path) !== countSlashes(text)) throw this.refuse('name holds a slash', 'PATH');
    return path;
  }

  /** True where the mode is marked `@`: the line is another name of something. */
  get isLink(): boolean {
    return !this.isEmpty('MODE') && this.#bytes[this.#starts[FIELDS.MODE] as number] === AT_SIGN;
  }

  /** Type and permission bits. Bits above the 16 that images have room for are dropped, as composefs does. */
  mode(): number {
    const start = (this.#starts[FIELDS.MODE] as number) + (this.isLink ? 1 : 0);
    const mode = this.#digits(start, this.#ends[FIELDS.MODE] as number, 8);
    if (mode === undefined || mode > MAX_U32) throw this.refuse('mode is not octal', 'MODE');
    return mode % 0x10000;
  }

  #digits(start: number, end: number, radix: number): number | undefined {
    if (start >= end) return undefined;
    let value = 0;
    for (let at = start; at < end; at++) {
      const digit = (this.#bytes[at] as number) - ZERO;
      if (digit < 0 || digit >= radix) return undefined;
      value = value * radix + digit;
    }
    return value;
  }

  /** A number of 32 bits. */
  number32(field: 'NLINK' | 'UID' | 'GID' | 'RDEV'): number {
    const index = FIELDS[field];
    const value = this.#digits(this.#starts[index] as number, this.#ends[index] as number, 10);
    if (value === undefined) throw this.refuse(`${field.toLowerCase()} is not a number`, field);
    if (value > MAX_U32) throw this.refuse(`${field.toLowerCase()} does not fit in 32 bits`, field);
    return value;
  }

  /** The size, 64 bits wide; above 2^53 it is rounded up, which no file can have. */
  size(): number {
    const size = this.#digits(this.#starts[FIELDS.SIZE] as number, this.#ends[FIELDS.SIZE] as number, 10);
    if (size === undefined) throw this.refuse('size is not a number', 'SIZE');
    if (size < Number.MAX_SAFE_INTEGER) return size;
    const exact = BigInt(this.#text('SIZE'));
    if (exact > MAX_U64) throw this.refuse('size does not fit in 64 bits', 'SIZE');
    return exact > 2n ** 53n ? Math.max(Number(exact), 2 ** 53 + 2) : Number(exact);
  }

  /** `seconds.nanoseconds`; seconds may be negative, also spelled as an unsigned number of 64 bits. */
  mtime(): Time {
    const start = this.#starts[FIELDS.MTIME] as number;
    const end = this.#ends[FIELDS.MTIME] as number;
    const found = this.#bytes.subarray(start, end).indexOf(DOT);
    if (found < 0) throw this.refuse('mtime without nanoseconds', 'MTIME');
    const dot = start + found;
    const isNegative = this.#bytes[start] === MINUS;
    const seconds = this.#digits(isNegative ? start + 1 : start, dot, 10);
    const nanoseconds = this.#digits(dot + 1, end, 10);
    if (seconds === undefined || nanoseconds === undefined) throw this.refuse('mtime is not a number', 'MTIME');
    if (nanoseconds > 999_999_999) throw this.refuse('mtime has more than 999999999 nanoseconds', 'MTIME');
    const exact =
      seconds < Number.MAX_SAFE_INTEGER
        ? BigInt(isNegative ? -seconds : seconds)
        : BigInt(this.#bytes.toString('latin1', start, dot));
    if (exact < MIN_I64 || exact > MAX_U64) throw this.refuse('mtime does not fit in 64 bits', 'MTIME');
    const wrapped = BigInt.asIntN(64, exact);
    // Neighbours often have the same time: one object serves them.
    if (wrapped !== this.#time.seconds || nanoseconds !== this.#time.nanoseconds)
      this.#time = { seconds: wrapped, nanoseconds };
    return this.#time;
  }

  /** Path of what a hard link is another name of. */
  linkTarget(): ByteString {
    const target = this.#optional('PAYLOAD');
    if (target === undefined) throw this.refuse('hard link without a target', 'PAYLOAD');
    return target;
  }

  /** A symlink's target or an object's path. */
  payload(what: 'payload' | 'symlink target'): ByteString | undefined {
    const payload = this.#optional('PAYLOAD');
    if (payload === undefined) return undefined;
    if (payload.includes('\0')) throw this.refuse(`${what} holds a NUL`, 'PAYLOAD');
    if (payload.length > MAX_PAYLOAD_BYTES) throw this.refuse(`${what} of 4096 bytes or more`, 'PAYLOAD');
    return payload;
  }

  content(): ByteString | undefined {
    return this.#optional('CONTENT');
  }

  /** The digest; undefined also where the line leaves it out. */
  digest(): Digest | undefined {
    const digest = this.#optional('DIGEST')?.toLowerCase();
    if (digest === undefined || digest === '') return undefined;
    if (!isDigest(digest)) throw this.refuse('digest is not 64 hex digits', 'DIGEST');
    return digest;
  }

  /** The `KEY=VALUE` items behind the fixed fields. */
  xattrs(): Map<ByteString, Uint8Array> {
    const start = this.#xattrStart;
    if (start >= this.#end) return new Map();
    if (this.#end - start > MAX_DUMP_XATTR_TEXT_BYTES)
      throw this.refuse('xattrs of one line longer than 65535 bytes of text');
    const text = this.#bytes.toString('latin1', start, this.#end);
    if (text !== this.#xattrText) {
      this.#xattrs = this.#parseXattrs(text);
      this.#xattrText = text;
    }
    return new Map(this.#xattrs);
  }

  /** Of two with one key the last one counts. */
  #parseXattrs(text: string): Map<ByteString, Uint8Array> {
    const xattrs = new Map<ByteString, Uint8Array>();
    const refuse = (rule: string) => this.refuse(rule);
    for (let at = 0; at < text.length; ) {
      const space = text.indexOf(' ', at);
      const end = space < 0 ? text.length : space;
      const equals = text.indexOf('=', at);
      if (equals < 0 || equals >= end) throw this.refuse("xattr without '='");
      const value = unescapeField(text.slice(equals + 1, end), refuse);
      xattrs.set(unescapeField(text.slice(at, equals), refuse), Buffer.from(value, 'latin1'));
      at = end + 1;
    }
    const broken = brokenXattrRule(xattrs);
    if (broken !== undefined) throw this.refuse(broken);
    return xattrs;
  }
}

function countSlashes(text: string): number {
  let count = 0;
  for (let at = text.indexOf('/'); at >= 0; at = text.indexOf('/', at + 1)) count++;
  return count;
}
