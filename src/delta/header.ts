/** The header of a delta: which images it leads from and to, and what its image section and payload are made of. */
import { ByteReader, ByteWriter, fromBytes, toBytes } from '../core/bytes.ts';
import { type Digest, digestFromBytes, digestToBytes } from '../core/digest.ts';
import { MAX_DELTA_CODECS, MAX_DELTA_IMAGES, MAX_IMAGE_BYTES } from '../core/limits.ts';
import { codecNamed } from './codecs.ts';
import { damagedDelta, damagedPart } from './damage.ts';
import { readSigned, writeSigned } from './signed.ts';
import { sum } from './total-size.ts';

/** How an image is in the image section: its bytes, or the form of its tree with the image's format version. */
const IMAGE_METHODS = ['whole', 'tree-v0', 'tree-v1'] as const;
export type ImageMethod = (typeof IMAGE_METHODS)[number];

/** One to-image in the image section. Lengths in bytes. */
export interface ImagePart {
  readonly method: ImageMethod;
  /** Number of the image that it is coded against, counting from-images, then earlier to-images; undefined: none. */
  readonly base: number | undefined;
  /** Name of the codec of the compressed bytes. One that uses bases takes the base image, or the columns of its tree's form. */
  readonly codec: string;
  /** What the compressed bytes come to: the columns of a tree form, or the image. */
  readonly raw: number;
  /** Stored bytes: the compressed ones, then the digests. */
  readonly stored: number;
  /** Digests of objects that follow the compressed bytes (tree forms only). */
  readonly digests: number;
}

/** One record of the payload: one or several objects, coded together. */
export interface DeltaRecord {
  /** Numbers of the record's objects, in the order of their content, among the new objects of the delta. */
  readonly members: readonly number[];
  /** Name of the codec. */
  readonly codec: string;
  /** Numbers of the bases' objects, in the order in which the codec takes them: old objects first, then new ones. */
  readonly bases: readonly number[];
  /** Bytes in the payload. */
  readonly stored: number;
}

export interface Header {
  readonly from: readonly Digest[];
  readonly to: readonly Digest[];
  /** One for each to-image. */
  readonly images: readonly ImagePart[];
  readonly records: readonly DeltaRecord[];
}

/** The header before compression. */
export function encodeHeader(header: Header): Buffer {
  const writer = new ByteWriter(4096);
  for (const digests of [header.from, header.to]) {
    writer.varint(digests.length);
    for (const digest of digests) writer.bytes(digestToBytes(digest));
  }
  const codecs = [...new Set([...header.images, ...header.records].map(({ codec }) => codec))];
  writer.varint(codecs.length);
  for (const name of codecs) {
    writer.u8(name.length);
    writer.bytes(toBytes(name));
  }
  for (const { method, base, codec, raw, stored, digests } of header.images) {
    writer.varint(IMAGE_METHODS.indexOf(method));
    writer.varint(base === undefined ? 0 : base + 1);
    writer.varint(codecs.indexOf(codec));
    writer.varint(raw);
    writer.varint(stored);
    writer.varint(digests);
  }
  const { records } = header;
  writer.varint(records.length);
  for (const { members } of records) writer.varint(members.length);
  for (const { codec } of records) writer.varint(codecs.indexOf(codec));
  for (const { bases } of records) writer.varint(bases.length);
  writeDifferences(
    writer,
    records.flatMap(({ members }) => members),
  );
  writeDifferences(
    writer,
    records.flatMap(({ bases }) => bases),
  );
  for (const { stored } of records) writer.varint(stored);
  return writer.finish();
}

/** @throws OsupdError `damaged-delta`; `unsupported` for a codec that a newer osupd has. */
export function parseHeader(bytes: Uint8Array): Header {
  const reader = new ByteReader(bytes, damagedPart('header'));
  const from = readDigests(reader, 'from-images', 0);
  const to = readDigests(reader, 'to-images', 1);
  const codecs = readCodecs(reader);
  const images = to.map((_, index) => readImagePart(reader, codecs, from.length + index));
  const count = reader.varint('the number of records');
  const memberCounts = readColumn(reader, count, 'a number of members');
  const codecNumbers = readColumn(reader, count, 'a codec');
  const baseCounts = readColumn(reader, count, 'a number of bases');
  const members = readDifferences(reader, sum(memberCounts), 'a member');
  const bases = readDifferences(reader, sum(baseCounts), 'a base');
  const stored = readColumn(reader, count, 'a stored length');
  if (reader.remaining > 0) throw damagedDelta('the header goes on behind its last column');
  let member = 0;
  let base = 0;
  const records = memberCounts.map((memberCount, index): DeltaRecord => {
    const codec = codecs[codecNumbers[index]!];
    const baseCount = baseCounts[index]!;
    if (memberCount === 0 || codec === undefined) throw damagedDelta('a record without members or codec');
    if (codecNamed(codec).usesBases !== baseCount > 0)
      throw damagedDelta(`a record of the codec ${codec} has ${baseCount} bases`);
    member += memberCount;
    base += baseCount;
    return {
      members: members.slice(member - memberCount, member),
      codec,
      bases: bases.slice(base - baseCount, base),
      stored: stored[index]!,
    };
  });
  return { from, to, images, records };
}

function readDigests(reader: ByteReader, what: string, least: number): Digest[] {
  const count = reader.varint(`the number of ${what}`);
  if (count < least || count > MAX_DELTA_IMAGES) throw damagedDelta(`a delta with ${count} ${what}`);
  const digests = Array.from({ length: count }, () => digestFromBytes(reader.take(32, what)));
  if (new Set(digests).size !== count) throw damagedDelta(`one of the ${what} is there twice`);
  return digests;
}

function readCodecs(reader: ByteReader): string[] {
  const count = reader.varint('the number of codecs');
  if (count > MAX_DELTA_CODECS) throw damagedDelta(`a delta with ${count} codecs`);
  return Array.from({ length: count }, () => {
    const name = fromBytes(reader.take(reader.u8('the length of a name'), 'the name of a codec'));
    if (!/^[a-z0-9-]{1,32}$/.test(name)) throw damagedDelta('the name of a codec is not a name');
    return name;
  });
}

function readImagePart(reader: ByteReader, codecs: readonly string[], earlier: number): ImagePart {
  const method = IMAGE_METHODS[reader.varint('the method of an image')];
  const base = reader.varint('the base of an image');
  const codec = codecs[reader.varint('the codec of an image')];
  const raw = reader.varint('the raw length of an image');
  const stored = reader.varint('the stored length of an image');
  const digests = reader.varint('the number of digests of an image');
  if (method === undefined || codec === undefined || base > earlier)
    throw damagedDelta('an image is coded in a way that is not known');
  if (codecNamed(codec).usesBases && base === 0) throw damagedDelta(`an image of the codec ${codec} has no base`);
  if (raw > MAX_IMAGE_BYTES || digests * 32 > stored || (method === 'whole' && digests > 0))
    throw damagedDelta(`an image claims ${raw} bytes and ${digests} digests`);
  return { method, base: base === 0 ? undefined : base - 1, codec, raw, stored, digests };
}

/** So many numbers; each has at least one byte, so a count beyond what is left is refused before anything is made for it. */
function readColumn(reader: ByteReader, count: number, what: string): number[] {
  if (count > reader.remaining) throw damagedDelta(`${what} is cut off`);
  return Array.from({ length: count }, () => reader.varint(what));
}

function writeDifferences(writer: ByteWriter, numbers: readonly number[]): void {
  let expected = 0;
  for (const number of numbers) {
    writeSigned(writer, number - expected);
    expected = number + 1;
  }
}

function readDifferences(reader: ByteReader, count: number, what: string): number[] {
  if (count > reader.remaining) throw damagedDelta(`${what} is cut off`);
  let expected = 0;
  return Array.from({ length: count }, () => {
    const number = expected + readSigned(reader, what);
    if (number < 0 || !Number.isSafeInteger(number)) throw damagedDelta(`${what} is out of range`);
    expected = number + 1;
    return number;
  });
}
