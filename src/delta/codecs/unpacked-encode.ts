/** Takes the members and bases of a record apart, and differences what is in them. */
import type { ByteString } from '../../core/bytes.ts';
import { MAX_UNPACKED_BYTES } from '../../core/limits.ts';
import type { Base, Codec, EncodeOptions } from '../codec.ts';
import { type AnyContainer, isStreamed } from '../containers/container.ts';
import { CONTAINERS } from '../containers/containers.ts';
import { cpioFiles } from '../containers/cpio.ts';
import { unpackStreamed } from '../containers/unpack-streamed.ts';
import { withoutVersions } from '../names.ts';
import { memoryBase } from '../read-base.ts';
import { sum } from '../total-size.ts';
import { brotliBase } from './brotli.ts';
import { difference } from './difference.ts';
import type { BaseLayout, Cut, Insert, Layout, MemberLayout } from './unpacked-layout.ts';
import { zstd, zstdBase } from './zstd.ts';

/** Codecs that the content may have, by their number in the stored form. */
export const INNER_CODECS: readonly Codec[] = [difference, zstdBase, brotliBase, zstd];

/** Smaller files of an archive are left in it: to leave them out would cost as much. */
const MIN_CUT_BYTES = 64;

export interface EncodedContent {
  readonly layout: Layout;
  /** Number of the content's codec. */
  readonly inner: number;
  readonly stored: Uint8Array;
}

/**
 * Bases that help no member are sought in the members' archives as whole files. undefined where there are none, and no member can be taken
 * apart; or where it is all too much.
 */
export async function encodeUnpacked(
  target: Uint8Array,
  bases: readonly Base[],
  options: EncodeOptions,
): Promise<EncodedContent | undefined> {
  const { basesOf } = options;
  const helping = new Set(basesOf.flat());
  const bytes: Uint8Array[] = [];
  for (const base of bases) bytes.push(await base.read(0, base.size));
  const contained = new ContainedFiles(bytes, helping);
  const members = await takeApart(target, options.members, contained);
  const isWhole = members.every(({ layout }) => layout.container === undefined);
  if (members.length === 0 || (isWhole && helping.size === bases.length)) return undefined;
  const old: TakenBase[] = [];
  let left = MAX_UNPACKED_BYTES;
  for (const [index, base] of bytes.entries()) {
    const taken = helping.has(index) ? await takeBase(base, left, members) : CONTAINED;
    if (taken.layout.form !== 'as it is') left -= taken.unpackedBytes;
    if (left < 0) return undefined;
    old.push(taken);
  }
  const content = await encodeParts(members, old, options);
  if (content === undefined) return undefined;
  const layout = { bases: old.map(({ layout }) => layout), members: members.map(({ layout }) => layout) };
  return { layout, inner: content.inner, stored: content.stored };
}

interface TakenMember {
  readonly layout: MemberLayout;
  /** What is in the record's content of each part. */
  readonly own: readonly Uint8Array[];
  /** Names of the files in its archives that are not there as bases, without versions. */
  readonly names: ReadonlySet<ByteString>;
}

interface TakenBase {
  readonly layout: BaseLayout;
  readonly parts: readonly Uint8Array[];
  readonly unpackedBytes: number;
}

const CONTAINED: TakenBase = { layout: { form: 'contained', cuts: [] }, parts: [], unpackedBytes: 0 };

/** Bases that may be in archives as whole files, by their size. */
class ContainedFiles {
  readonly #bySize = new Map<number, number[]>();
  readonly #bytes: readonly Uint8Array[];

  constructor(bytes: readonly Uint8Array[], helping: ReadonlySet<number>) {
    this.#bytes = bytes;
    for (const [index, { length }] of bytes.entries()) {
      if (helping.has(index)) continue;
      this.#bySize.set(length, [...(this.#bySize.get(length) ?? []), index]);
    }
  }

  find(content: Uint8Array): number | undefined {
    return this.#bySize.get(content.length)?.find((index) => Buffer.compare(this.#bytes[index]!, content) === 0);
  }
}

/** None where they are too much. */
async function takeApart(
  target: Uint8Array,
  sizes: readonly number[],
  contained: ContainedFiles,
): Promise<TakenMember[]> {
  const taken: TakenMember[] = [];
  let left = MAX_UNPACKED_BYTES;
  let at = 0;
  for (const size of sizes) {
    const bytes = target.subarray(at, at + size);
    at += size;
    const { container, parts, recipe } = (await describeMember(bytes, left)) ?? {
      container: undefined,
      parts: [bytes],
      recipe: new Uint8Array(0),
    };
    if (container !== undefined) left -= sum(parts.map(({ length }) => length));
    if (left < 0) return [];
    const separated = parts.map((part) => separate(part, container === undefined ? undefined : contained));
    taken.push({
      layout: {
        container,
        parts: separated.map(({ own, inserts }) => ({ own: own.length, inserts })),
        recipe,
      },
      own: separated.map(({ own }) => own),
      names: new Set(separated.flatMap(({ names }) => names)),
    });
  }
  return taken;
}

interface Described {
  readonly container: AnyContainer;
  readonly parts: readonly Uint8Array[];
  readonly recipe: Uint8Array;
}

async function describeMember(bytes: Uint8Array, limit: number): Promise<Described | undefined> {
  for (const container of CONTAINERS) {
    const file = container.begins(bytes) ? container.describe(bytes, limit) : undefined;
    const described = file === undefined ? undefined : { container, ...file };
    // Bytes that do not come back are left as they are: nothing is left to a device's luck.
    if (described !== undefined && (await comesBack(described, bytes))) return described;
  }
  return undefined;
}

async function comesBack({ container, parts, recipe }: Described, bytes: Uint8Array): Promise<boolean> {
  const streamed = parts.map((part) => ({ size: part.length, chunks: once(part) }));
  const restored = isStreamed(container) ? container.restoreStream(streamed, recipe) : container.restore(parts, recipe);
  let at = 0;
  for await (const chunk of restored) {
    if (Buffer.compare(chunk, bytes.subarray(at, at + chunk.length)) !== 0) return false;
    at += chunk.length;
  }
  return at === bytes.length;
}

interface Separated {
  readonly own: Uint8Array;
  readonly inserts: readonly Insert[];
  readonly names: readonly ByteString[];
}

/** Takes the files that are bases out of a part's archives. */
function separate(part: Uint8Array, contained: ContainedFiles | undefined): Separated {
  const inserts: Insert[] = [];
  const names: ByteString[] = [];
  const pieces: Uint8Array[] = [];
  let done = 0;
  for (const { name, offset, size } of contained === undefined ? [] : cpioFiles(part)) {
    const base = contained?.find(part.subarray(offset, offset + size));
    if (base === undefined) names.push(withoutVersions(name));
    else {
      inserts.push({ gap: offset - done, base });
      pieces.push(part.subarray(done, offset));
      done = offset + size;
    }
  }
  pieces.push(part.subarray(done));
  return { own: pieces.length === 1 ? part : Buffer.concat(pieces), inserts, names };
}

/** @param limit bytes of content. */
async function takeBase(bytes: Uint8Array, limit: number, members: readonly TakenMember[]): Promise<TakenBase> {
  for (const container of CONTAINERS) {
    if (!container.begins(bytes)) continue;
    if (isStreamed(container)) {
      const contents = await unpackStreamed(container, bytes, limit);
      if (contents === undefined) continue;
      const [first, ...others] = contents;
      const cuts = cutsOf(first!, members);
      const parts = [withoutCuts(first!, cuts), ...others];
      return { layout: { form: container, cuts }, parts, unpackedBytes: sum(contents.map(({ length }) => length)) };
    }
    const parts = container.unpack(bytes, limit);
    if (parts !== undefined)
      return { layout: { form: container, cuts: [] }, parts, unpackedBytes: sum(parts.map(({ length }) => length)) };
  }
  return { layout: { form: 'as it is', cuts: [] }, parts: [bytes], unpackedBytes: 0 };
}

/**
 * The files in the archives of a base that help nobody: those whose like in the members are there as bases themselves. A reader holds what
 * is not left out.
 */
function cutsOf(content: Uint8Array, members: readonly TakenMember[]): Cut[] {
  if (!members.some(({ layout }) => layout.parts.some(({ inserts }) => inserts.length > 0))) return [];
  const cuts: Cut[] = [];
  let done = 0;
  for (const { name, offset, size } of cpioFiles(content)) {
    const isOf = withoutVersions(name);
    if (size < MIN_CUT_BYTES || members.some(({ names }) => names.has(isOf))) continue;
    cuts.push({ gap: offset - done, length: size });
    done = offset + size;
  }
  return cuts;
}

function withoutCuts(content: Uint8Array, cuts: readonly Cut[]): Uint8Array {
  if (cuts.length === 0) return content;
  const pieces: Uint8Array[] = [];
  let at = 0;
  for (const { gap, length } of cuts) {
    pieces.push(content.subarray(at, at + gap));
    at += gap + length;
  }
  pieces.push(content.subarray(at));
  return Buffer.concat(pieces);
}

/** The content by the smallest of the codecs for content. */
async function encodeParts(
  members: readonly TakenMember[],
  bases: readonly TakenBase[],
  { effort, basesOf }: EncodeOptions,
): Promise<{ inner: number; stored: Uint8Array } | undefined> {
  const target = Buffer.concat(members.flatMap(({ own }) => own));
  const old = bases.flatMap(({ parts }) => parts.map(memoryBase));
  const firstOf: number[] = [];
  let count = 0;
  for (const { parts } of bases) {
    firstOf.push(count);
    count += parts.length;
  }
  const options: EncodeOptions = {
    effort,
    members: members.flatMap(({ own }) => own.map(({ length }) => length)),
    basesOf: members.flatMap(({ own }, index) =>
      own.map((_, part) =>
        (basesOf[index] ?? []).flatMap((base) => partsFor(part, own.length, firstOf[base]!, bases[base]!.parts.length)),
      ),
    ),
  };
  let best: { inner: number; stored: Uint8Array } | undefined;
  for (const [number, inner] of INNER_CODECS.entries()) {
    // Without bases only where there are none.
    if (inner.usesBases !== old.length > 0) continue;
    const stored = await inner.encode(target, old, options);
    if (stored !== undefined && (best === undefined || stored.length < best.stored.length))
      best = { inner: number, stored };
  }
  return best;
}

/** The parts of a base that help a part of a member: the one in its place, where both files have as many. */
function partsFor(part: number, parts: number, first: number, count: number): number[] {
  if (parts === count) return [first + part];
  return Array.from({ length: count }, (_, index) => first + index);
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
