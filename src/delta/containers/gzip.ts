/** gzip files (RFC 1952): one or more members, each with a header, a deflate stream and the checksum of its content. */
import { crc32 } from 'node:zlib';
import { ByteReader, ByteWriter } from '../../core/bytes.ts';
import { damagedDelta, damagedPart } from '../damage.ts';
import type { Container, UnpackedFile } from './container.ts';
import { encodeDecisions } from './deflate/encode-decisions.ts';
import { type DeflateStream, readStream } from './deflate/read-stream.ts';
import { restoreStream } from './deflate/restore-stream.ts';

const FIXED_HEADER_BYTES = 10;
const TRAILER_BYTES = 8;

/** Bits of the header's flags. */
const HAS_CHECKSUM = 2;
const HAS_EXTRA = 4;
const HAS_NAME = 8;
const HAS_COMMENT = 16;

interface GzipMember {
  readonly header: Uint8Array;
  readonly stream: DeflateStream;
}

interface GzipFile {
  readonly members: readonly GzipMember[];
  /** Bytes behind the last member: padding, or what belongs to another format. */
  readonly rest: Uint8Array;
}

export const gzip: Container = {
  name: 'gzip',
  begins(bytes) {
    return bytes[0] === 0x1f && bytes[1] === 0x8b && bytes[2] === 8;
  },
  unpack(bytes, limit) {
    const file = readFile(bytes, limit);
    return file === undefined ? undefined : [joinedContent(file)];
  },
  describe(bytes, limit) {
    const file = readFile(bytes, limit);
    return file === undefined ? undefined : describe(file);
  },
  *restore(parts, recipe) {
    const [content] = parts;
    if (content === undefined || parts.length > 1) throw damagedDelta('a gzip file has one part');
    const reader = new ByteReader(recipe, damagedPart('recipe of a gzip file'));
    let at = 0;
    for (let left = reader.varint('the number of members'); left > 0; left--) {
      yield reader.take(reader.varint('the size of a header'), 'a header');
      const length = reader.varint('the size of a member');
      if (length > content.length - at) throw damagedDelta('a gzip file has less content than its members');
      const own = content.subarray(at, at + length);
      at += length;
      yield* restoreStream(own, reader.take(reader.varint('the size of decisions'), 'decisions'));
      yield trailerOf(own);
    }
    if (at < content.length) throw damagedDelta('a gzip file has more content than its members');
    yield reader.take(reader.remaining, 'the rest');
  },
};

function readFile(bytes: Uint8Array, limit: number): GzipFile | undefined {
  const members: GzipMember[] = [];
  let at = 0;
  for (let left = limit; ; ) {
    const end = gzip.begins(bytes.subarray(at)) ? headerEnd(bytes, at) : undefined;
    const stream = end === undefined ? undefined : readStream(bytes, end, left);
    const after = (stream?.end ?? 0) + TRAILER_BYTES;
    if (end === undefined || stream === undefined || after > bytes.length) break;
    // A file whose checksum is wrong keeps it: what cannot be computed is not taken apart.
    if (Buffer.compare(bytes.subarray(stream.end, after), trailerOf(stream.content)) !== 0) break;
    members.push({ header: bytes.subarray(at, end), stream });
    left -= stream.content.length;
    at = after;
  }
  return members.length === 0 ? undefined : { members, rest: bytes.subarray(at) };
}

/** Offset of the deflate stream behind a header; undefined for one that is cut off. */
function headerEnd(bytes: Uint8Array, start: number): number | undefined {
  const flags = bytes[start + 3] ?? 0;
  let at = start + FIXED_HEADER_BYTES;
  if ((flags & HAS_EXTRA) !== 0) at += 2 + (bytes[at] ?? 0) + ((bytes[at + 1] ?? 0) << 8);
  for (const flag of [HAS_NAME, HAS_COMMENT]) {
    if ((flags & flag) === 0) continue;
    const zero = bytes.indexOf(0, at);
    if (zero < 0) return undefined;
    at = zero + 1;
  }
  if ((flags & HAS_CHECKSUM) !== 0) at += 2;
  return at < bytes.length ? at : undefined;
}

function trailerOf(content: Uint8Array): Buffer {
  const trailer = Buffer.alloc(TRAILER_BYTES);
  trailer.writeUInt32LE(crc32(content), 0);
  trailer.writeUInt32LE(content.length >>> 0, 4);
  return trailer;
}

function joinedContent({ members }: GzipFile): Uint8Array {
  const [first] = members;
  if (first !== undefined && members.length === 1) return first.stream.content;
  return Buffer.concat(members.map(({ stream }) => stream.content));
}

function describe(file: GzipFile): UnpackedFile | undefined {
  const out = new ByteWriter();
  out.varint(file.members.length);
  for (const { header, stream } of file.members) {
    const decisions = encodeDecisions(stream);
    if (decisions === undefined) return undefined;
    out.varint(header.length);
    out.bytes(header);
    out.varint(stream.content.length);
    out.varint(decisions.length);
    out.bytes(decisions);
  }
  out.bytes(file.rest);
  return { parts: [joinedContent(file)], recipe: out.finish() };
}
