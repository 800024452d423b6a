/**
 * The codec `unpacked`: files that are compressed inside, by the difference of their content and a recipe that gives back the
 * compressed bytes. docs/formats/delta.md has the format.
 */
import { brotliCompressSync, brotliDecompressSync, constants } from 'node:zlib';
import { ByteWriter } from '../../core/bytes.ts';
import { MAX_RECIPES_BYTES, MAX_UNPACKED_BYTES } from '../../core/limits.ts';
import type { Base, Codec } from '../codec.ts';
import { isStreamed, wholePart } from '../containers/container.ts';
import { Cutter } from '../cutter.ts';
import { damagedDelta } from '../damage.ts';
import { streamBase } from '../read-base.ts';
import { sum } from '../total-size.ts';
import { StoredBytes } from './stored-bytes.ts';
import { encodeUnpacked, INNER_CODECS } from './unpacked-encode.ts';
import {
  formatLayout,
  type Layout,
  type MemberLayout,
  type PartLayout,
  parseLayout,
  partSize,
} from './unpacked-layout.ts';
import { UnpackedBases } from './unpacked-old.ts';

/** Content is this many times what it is compressed to, at most, where memory is reckoned. */
const RATIO = 6;

export const unpacked: Codec = {
  name: 'unpacked',
  usesBases: true,
  async encode(target, bases, options) {
    const encoded = await encodeUnpacked(target, bases, options);
    if (encoded === undefined) return undefined;
    const { layout, inner, stored } = encoded;
    const recipes = brotliCompressSync(formatLayout(layout), {
      params: { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY },
    });
    const out = new ByteWriter(recipes.length + stored.length + 16);
    out.varint(recipes.length);
    out.bytes(recipes);
    out.u8(inner);
    out.bytes(stored);
    return out.finish();
  },
  decodingMemory(bases, members) {
    return Math.min(RATIO * sum(bases), MAX_UNPACKED_BYTES) + 2 * Math.min(RATIO * sum(members), MAX_UNPACKED_BYTES);
  },
  async *decode(stored, bases, members, scratch) {
    await using source = new StoredBytes(stored);
    const sizes = bases.map(({ size }) => size);
    const layout = parseLayout((await readRecipes(source)).bytes, sizes, members);
    const inner = INNER_CODECS[await source.byte('the codec of the content')];
    if (inner === undefined) throw damagedDelta('a record has content in a codec that is not known');
    using unpackedBases = new UnpackedBases(scratch);
    const old: Base[] = [];
    for (const [index, base] of layout.bases.entries()) old.push(...(await unpackedBases.partsOf(bases[index]!, base)));
    if (inner.usesBases && old.length === 0) throw damagedDelta('a record has content without bases');
    const content = inner.decode(source.rest(), inner.usesBases ? old : [], ownSizes(layout), scratch);
    await using cutter = new Cutter(content, () => damagedDelta('a record holds less than its content'));
    for (const [index, member] of layout.members.entries())
      yield* exactly(restored(member, cutter, bases), members[index]!);
    if (!(await cutter.isAtEnd())) throw damagedDelta('a record holds more than its content');
  },
};

function ownSizes({ members }: Layout): number[] {
  return members.flatMap(({ parts }) => parts.map(({ own }) => own));
}

/**
 * The recipes of a record; what is behind them is left in the source.
 * @returns also how many bytes they take there.
 * @throws OsupdError `damaged-delta`
 */
export async function readRecipes(source: StoredBytes): Promise<{ bytes: Uint8Array; packed: number }> {
  const length = await source.varint('the size of the recipes');
  if (length > MAX_RECIPES_BYTES) throw damagedDelta(`a record has recipes of ${length} bytes`);
  const packed = await source.take(length);
  try {
    return { bytes: brotliDecompressSync(packed, { maxOutputLength: MAX_RECIPES_BYTES }), packed: length };
  } catch (error) {
    throw damagedDelta('the recipes of a record are damaged', undefined, error);
  }
}

/** The bytes of a member; own bytes of its parts come from the cutter. */
async function* restored(
  { container, parts, recipe }: MemberLayout,
  cutter: Cutter,
  bases: readonly Base[],
): AsyncGenerator<Uint8Array> {
  const sizes = bases.map(({ size }) => size);
  if (container === undefined) {
    for await (const chunk of cutter.next(parts[0]!.own)) yield chunk.slice();
  } else {
    const streamed = parts.map((part) => ({ size: partSize(part, sizes), chunks: contentOf(part, cutter, bases) }));
    if (isStreamed(container)) return yield* container.restoreStream(streamed, recipe);
    const contents: Uint8Array[] = [];
    for (const part of streamed) contents.push(await wholePart(part));
    yield* container.restore(contents, recipe);
  }
}

/** Own bytes of a part with the bases that are in it. */
async function* contentOf(
  { own, inserts }: PartLayout,
  cutter: Cutter,
  bases: readonly Base[],
): AsyncGenerator<Uint8Array> {
  let left = own;
  for (const { gap, base } of inserts) {
    yield* cutter.next(gap);
    yield* streamBase(bases[base]!);
    left -= gap;
  }
  yield* cutter.next(left);
}

async function* exactly(chunks: AsyncIterable<Uint8Array>, size: number): AsyncGenerator<Uint8Array> {
  let left = size;
  for await (const chunk of chunks) {
    left -= chunk.length;
    if (left < 0) break;
    // Nothing at the end of a record would be taken for more than it should hold.
    if (chunk.length > 0) yield chunk;
  }
  if (left !== 0) throw damagedDelta('a file of a record does not have the size of its object');
}
