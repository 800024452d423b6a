/**
 * The codec `unpacked`: files that are compressed inside, by the difference of their content and a recipe that gives back the
 * compressed bytes. docs/formats/delta.md has the format.
 */
import { brotliCompressSync, brotliDecompressSync, constants } from 'node:zlib';
import { ByteReader, ByteWriter } from '../../core/bytes.ts';
import { MAX_RECIPES_BYTES, MAX_UNPACKED_BYTES } from '../../core/limits.ts';
import type { Base, Codec, EncodeOptions } from '../codec.ts';
import type { Container } from '../containers/container.ts';
import { CONTAINERS } from '../containers/containers.ts';
import { Cutter } from '../cutter.ts';
import { damagedDelta, damagedPart } from '../damage.ts';
import { memoryBase, readBases } from '../read-base.ts';
import { sum } from '../total-size.ts';
import { brotliBase } from './brotli.ts';
import { difference } from './difference.ts';
import { StoredBytes } from './stored-bytes.ts';
import { zstdBase } from './zstd.ts';

/** Codecs that the content may have, by their number in the stored form. */
const INNER_CODECS: readonly Codec[] = [difference, zstdBase, brotliBase];

/** Content is this many times what it is compressed to, at most, where memory is reckoned. */
const RATIO = 6;

/** One object: its parts, and how to join them again. A file that is not taken apart is one part. */
interface Taken {
  readonly container: Container | undefined;
  readonly parts: readonly Uint8Array[];
  readonly recipe: Uint8Array;
}

export const unpacked: Codec = {
  name: 'unpacked',
  usesBases: true,
  async encode(target, bases, options) {
    const taken = takeApart(target, options.members);
    if (taken === undefined) return undefined;
    const old: Taken[] = [];
    for (const base of bases) old.push(unpackBase(await readBases([base]), undefined));
    if (contentSize(old) > MAX_UNPACKED_BYTES) return undefined;
    const inner = await encodeParts(taken, old, options);
    if (inner === undefined) return undefined;
    const layout = brotliCompressSync(formatLayout(taken, old), {
      params: { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY },
    });
    const out = new ByteWriter(layout.length + inner.stored.length + 16);
    out.varint(layout.length);
    out.bytes(layout);
    out.u8(inner.codec);
    out.bytes(inner.stored);
    return out.finish();
  },
  decodingMemory(bases, members) {
    return Math.min(RATIO * sum(bases), MAX_UNPACKED_BYTES) + 2 * Math.min(RATIO * sum(members), MAX_UNPACKED_BYTES);
  },
  async *decode(stored, bases, members) {
    await using source = new StoredBytes(stored);
    const layout = parseLayout(await readLayout(source), bases.length, members.length);
    const inner = INNER_CODECS[await source.byte('the codec of the content')];
    if (inner === undefined) throw damagedDelta('a record has content in a codec that is not known');
    const old: Uint8Array[] = [];
    let left = MAX_UNPACKED_BYTES;
    for (const [index, container] of layout.bases.entries()) {
      const bytes = await readBases([bases[index] as Base]);
      const { parts } = unpackBase(bytes, { container, limit: left });
      old.push(...parts);
      left -= sum(parts.map(({ length }) => length));
    }
    const sizes = layout.members.flatMap(({ sizes: own }, index) => own ?? [members[index] as number]);
    const content = inner.decode(source.rest(), old.map(memoryBase), sizes);
    await using cutter = new Cutter(content, () => damagedDelta('a record holds less than its content'));
    for (const [index, { container, sizes: own, recipe }] of layout.members.entries()) {
      if (container === undefined || own === undefined) {
        for await (const chunk of cutter.next(members[index] as number)) yield chunk.slice();
        continue;
      }
      const parts: Uint8Array[] = [];
      for (const size of own) parts.push(await takePart(cutter, size));
      yield* exactly(container.restore(parts, recipe), members[index] as number);
    }
    if (!(await cutter.isAtEnd())) throw damagedDelta('a record holds more than its content');
  },
};

/** The members in parts; undefined where none of them is taken apart, or they are too much. */
function takeApart(target: Uint8Array, members: readonly number[]): Taken[] | undefined {
  const taken: Taken[] = [];
  let left = MAX_UNPACKED_BYTES;
  let at = 0;
  for (const size of members) {
    const bytes = target.subarray(at, at + size);
    at += size;
    const one = describeMember(bytes, left);
    left -= contentSize([one]);
    taken.push(one);
  }
  return left < 0 || taken.every(({ container }) => container === undefined) ? undefined : taken;
}

function describeMember(bytes: Uint8Array, limit: number): Taken {
  for (const container of CONTAINERS) {
    const file = container.begins(bytes) ? container.describe(bytes, limit) : undefined;
    // Bytes that do not come back are left as they are: nothing is left to a device's luck.
    if (file !== undefined && comesBack(container, file, bytes)) return { container, ...file };
  }
  return whole(bytes);
}

function comesBack(container: Container, { parts, recipe }: Omit<Taken, 'container'>, bytes: Uint8Array): boolean {
  let at = 0;
  for (const chunk of container.restore(parts, recipe)) {
    if (Buffer.compare(chunk, bytes.subarray(at, at + chunk.length)) !== 0) return false;
    at += chunk.length;
  }
  return at === bytes.length;
}

/** @param given how a delta says that it is unpacked; undefined: as it can be. @throws OsupdError `damaged-delta` where it cannot. */
function unpackBase(
  bytes: Uint8Array,
  given: { readonly container: Container | undefined; readonly limit: number } | undefined,
): Taken {
  if (given !== undefined) {
    const parts = given.container === undefined ? [bytes] : given.container.unpack(bytes, given.limit);
    if (parts === undefined || sum(parts.map(({ length }) => length)) > given.limit)
      throw damagedDelta(`a record unpacks a base that is not ${given.container?.name ?? 'small enough'}`);
    return { container: given.container, parts, recipe: new Uint8Array(0) };
  }
  for (const container of CONTAINERS) {
    const parts = container.begins(bytes) ? container.unpack(bytes, MAX_UNPACKED_BYTES) : undefined;
    if (parts !== undefined) return { container, parts, recipe: new Uint8Array(0) };
  }
  return whole(bytes);
}

function whole(bytes: Uint8Array): Taken {
  return { container: undefined, parts: [bytes], recipe: new Uint8Array(0) };
}

function contentSize(taken: readonly Taken[]): number {
  return sum(taken.flatMap(({ parts }) => parts.map(({ length }) => length)));
}

/** The content by the smallest of the codecs for content with bases. */
async function encodeParts(
  members: readonly Taken[],
  bases: readonly Taken[],
  { effort, basesOf }: EncodeOptions,
): Promise<{ codec: number; stored: Uint8Array } | undefined> {
  const target = Buffer.concat(members.flatMap(({ parts }) => parts));
  const old = bases.flatMap(({ parts }) => parts.map(memoryBase));
  const firstOf: number[] = [];
  let count = 0;
  for (const { parts } of bases) {
    firstOf.push(count);
    count += parts.length;
  }
  const options: EncodeOptions = {
    effort,
    members: members.flatMap(({ parts }) => parts.map(({ length }) => length)),
    basesOf: members.flatMap(({ parts }, index) =>
      parts.map((_, part) =>
        (basesOf[index] ?? []).flatMap((base) =>
          partsFor(part, parts.length, firstOf[base]!, bases[base]!.parts.length),
        ),
      ),
    ),
  };
  let best: { codec: number; stored: Uint8Array } | undefined;
  for (const [codec, inner] of INNER_CODECS.entries()) {
    const stored = await inner.encode(target, old, options);
    if (stored !== undefined && (best === undefined || stored.length < best.stored.length)) best = { codec, stored };
  }
  return best;
}

/** The parts of a base that help a part of a member: the one in its place, where both files have as many. */
function partsFor(part: number, parts: number, first: number, count: number): number[] {
  if (parts === count) return [first + part];
  return Array.from({ length: count }, (_, index) => first + index);
}

interface Layout {
  readonly bases: readonly (Container | undefined)[];
  readonly members: readonly {
    readonly container: Container | undefined;
    /** Of the parts; undefined for a member that is not taken apart. */
    readonly sizes: readonly number[] | undefined;
    readonly recipe: Uint8Array;
  }[];
}

/** For each base its container; for each member too, with the sizes of its parts and its recipe. 0: none, else 1 + its number. */
function formatLayout(members: readonly Taken[], bases: readonly Taken[]): Uint8Array {
  const out = new ByteWriter();
  const number = ({ container }: Taken) => (container === undefined ? 0 : 1 + CONTAINERS.indexOf(container));
  for (const base of bases) out.varint(number(base));
  for (const member of members) {
    out.varint(number(member));
    if (member.container === undefined) continue;
    out.varint(member.parts.length);
    for (const { length } of member.parts) out.varint(length);
    out.varint(member.recipe.length);
    out.bytes(member.recipe);
  }
  return out.finish();
}

async function readLayout(source: StoredBytes): Promise<Uint8Array> {
  const length = await source.varint('the size of the recipes');
  if (length > MAX_RECIPES_BYTES) throw damagedDelta(`a record has recipes of ${length} bytes`);
  const packed = await source.take(length);
  try {
    return brotliDecompressSync(packed, { maxOutputLength: MAX_RECIPES_BYTES });
  } catch (error) {
    throw damagedDelta('the recipes of a record are damaged', undefined, error);
  }
}

function parseLayout(bytes: Uint8Array, bases: number, members: number): Layout {
  const reader = new ByteReader(bytes, damagedPart('recipes of a record'));
  const container = (): Container | undefined => {
    const number = reader.varint('a container');
    if (number > CONTAINERS.length) throw damagedDelta(`a record has files of kind ${number} in it`);
    return number === 0 ? undefined : CONTAINERS[number - 1];
  };
  const layout: Layout = {
    bases: Array.from({ length: bases }, container),
    members: Array.from({ length: members }, () => {
      const own = container();
      if (own === undefined) return { container: own, sizes: undefined, recipe: new Uint8Array(0) };
      const count = reader.varint('the number of parts');
      if (count > reader.remaining) throw damagedDelta(`a file of a record has ${count} parts`);
      const sizes = Array.from({ length: count }, () => reader.varint('the size of a part'));
      return { container: own, sizes, recipe: reader.take(reader.varint('the size of a recipe'), 'a recipe') };
    }),
  };
  if (reader.remaining > 0) throw damagedDelta('bytes follow the recipes of a record');
  const content = sum(layout.members.flatMap(({ sizes }) => sizes ?? []));
  if (content > MAX_UNPACKED_BYTES) throw damagedDelta(`a record has ${content} bytes of content`);
  return layout;
}

async function takePart(cutter: Cutter, size: number): Promise<Uint8Array> {
  const part = new Uint8Array(size);
  let at = 0;
  for await (const chunk of cutter.next(size)) {
    part.set(chunk, at);
    at += chunk.length;
  }
  return part;
}

function* exactly(chunks: Iterable<Uint8Array>, size: number): Generator<Uint8Array> {
  let left = size;
  for (const chunk of chunks) {
    left -= chunk.length;
    if (left < 0) break;
    yield chunk;
  }
  if (left !== 0) throw damagedDelta('a file of a record does not have the size of its object');
}
