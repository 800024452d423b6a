/**
 * The image section of a delta: how each to-image is made from the images before it. Usually as the change of its tree, from
 * which its bytes follow; as compressed bytes where that is smaller, or where the bytes do not follow from the tree.
 */
import { collect } from '../core/bytes.ts';
import { OsupdError } from '../core/errors.ts';
import { type FormatVersion, HEADER } from '../image/format.ts';
import { encodeImage } from '../image/write.ts';
import type { Tree } from '../tree/tree.ts';
import type { Base } from './codec.ts';
import { codecNamed } from './codecs.ts';
import { damagedDelta } from './damage.ts';
import type { ImageMethod, ImagePart } from './header.ts';
import { memoryBase } from './read-base.ts';
import { readTreeForm } from './tree-form/read-tree.ts';
import { type TreeForm, writeTreeForm } from './tree-form/write-tree.ts';

/** An image that both sides have. */
export interface KnownImage {
  readonly bytes: Uint8Array;
  /** As `decodeImage` gives it for `bytes`. */
  readonly tree: Tree;
}

/** Encodes `target` by the codec that makes it smallest, with or without the base. */
export type EncodeBytes = (
  target: Uint8Array,
  base: Uint8Array | undefined,
) => Promise<{ readonly codec: string; readonly stored: Uint8Array }>;

interface Candidate {
  readonly part: ImagePart;
  readonly stored: Uint8Array;
}

/** The smallest way to make `image` from one of `known`, or from nothing: its part of the header, and its bytes. */
export async function encodeImagePart(
  image: KnownImage,
  known: readonly KnownImage[],
  encode: EncodeBytes,
): Promise<Candidate> {
  const { form, base } = closestForm(image, known);
  const baseImage = base === undefined ? undefined : known[base];
  const candidates = [encodeWhole(image, base, baseImage, encode)];
  const version = versionOf(image.bytes);
  if (version !== undefined && makesImage(form, version, image, baseImage))
    candidates.unshift(encodeForm(form, version, base, baseImage, encode));
  return (await Promise.all(candidates)).reduce((best, next) =>
    next.stored.length < best.stored.length ? next : best,
  );
}

/** The tree form against the image that it has most in common with. */
function closestForm(image: KnownImage, known: readonly KnownImage[]): { form: TreeForm; base: number | undefined } {
  let closest: { form: TreeForm; base: number | undefined } = { form: writeTreeForm(image.tree), base: undefined };
  known.forEach(({ tree }, base) => {
    const form = writeTreeForm(image.tree, tree);
    if (bytesOf(form) < bytesOf(closest.form)) closest = { form, base };
  });
  return closest;
}

function bytesOf({ columns, digests }: TreeForm): number {
  return columns.length + digests.length;
}

async function encodeForm(
  { columns, digests }: TreeForm,
  version: FormatVersion,
  base: number | undefined,
  baseImage: KnownImage | undefined,
  encode: EncodeBytes,
): Promise<Candidate> {
  const { codec, stored: frame } = await encode(columns, baseImage && columnsOf(baseImage));
  const stored = Buffer.concat([frame, digests]);
  const part: ImagePart = {
    method: TREE_METHODS[version],
    base,
    codec,
    raw: columns.length,
    stored: stored.length,
    digests: digests.length / 32,
  };
  return { part, stored };
}

async function encodeWhole(
  { bytes }: KnownImage,
  base: number | undefined,
  baseImage: KnownImage | undefined,
  encode: EncodeBytes,
): Promise<Candidate> {
  const { codec, stored } = await encode(bytes, baseImage?.bytes);
  return { part: { method: 'whole', base, codec, raw: bytes.length, stored: stored.length, digests: 0 }, stored };
}

/** The columns of a tree's own form: what the columns of a form against it resemble. */
function columnsOf({ tree }: KnownImage): Uint8Array {
  return writeTreeForm(tree).columns;
}

function makesImage(form: TreeForm, version: FormatVersion, image: KnownImage, base: KnownImage | undefined): boolean {
  try {
    return Buffer.compare(imageOf(readTreeForm(form, base?.tree), version), image.bytes) === 0;
  } catch (error) {
    // A tree that the form cannot hold: the image is shipped whole.
    if (error instanceof OsupdError && (error.code === 'damaged-delta' || error.code === 'invalid-tree')) return false;
    throw error;
  }
}

const TREE_METHODS = ['tree-v0', 'tree-v1'] as const satisfies readonly ImageMethod[];

/** The format version in an image's header. It decides the bytes, and the tree does not tell it. */
function versionOf(bytes: Uint8Array): FormatVersion | undefined {
  const version = bytes[HEADER.offsets.formatVersion];
  return version === 0 || version === 1 ? version : undefined;
}

function imageOf(tree: Tree, version: FormatVersion): Buffer {
  return encodeImage(tree, { minVersion: version, maxVersion: version });
}

/**
 * Makes an image from its part of the image section.
 * @param known the images that parts may count as bases, in their order.
 * @returns its bytes, and its tree where that came before them.
 * @throws OsupdError `damaged-delta`. The caller checks the image's digest.
 */
export async function decodeImagePart(
  part: ImagePart,
  stored: Uint8Array,
  known: readonly KnownImage[],
): Promise<{ bytes: Uint8Array; tree?: Tree }> {
  const { method, raw, digests } = part;
  const base = part.base === undefined ? undefined : known[part.base];
  const codec = codecNamed(part.codec);
  const frame = stored.subarray(0, stored.length - digests * 32);
  const decode = (bases: readonly Base[]) => collect(codec.decode(streamOf(frame), bases, [raw]));
  if (method === 'whole') return { bytes: await decode(codec.usesBases && base ? [memoryBase(base.bytes)] : []) };
  const columns = await decode(codec.usesBases && base ? [memoryBase(columnsOf(base))] : []);
  const tree = readTreeForm({ columns, digests: stored.subarray(frame.length) }, base?.tree);
  try {
    return { bytes: imageOf(tree, method === 'tree-v0' ? 0 : 1), tree };
  } catch (error) {
    if (!(error instanceof OsupdError)) throw error;
    throw damagedDelta(`a tree in the delta cannot be an image: ${error.message}`, undefined, error);
  }
}

async function* streamOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
