/** The head of a delta: prologue, header and image section. With it a device makes the new images and plans the rest. */
import type { Digest } from '../core/digest.ts';
import { OsupdError } from '../core/errors.ts';
import { decodeImage } from '../image/read.ts';
import { fsverityDigest } from '../objects/fsverity.ts';
import type { Tree } from '../tree/tree.ts';
import { decompressFrameSync } from './codecs/zstd-frame.ts';
import { damagedDelta } from './damage.ts';
import { type Header, type ImagePart, parseHeader } from './header.ts';
import { decodeImagePart, type KnownImage } from './image-section.ts';
import { headSize, PROLOGUE_BYTES, parsePrologue } from './prologue.ts';

/** The window of the header's frame: it covers the largest header. */
const HEADER_WINDOW_LOG = 26;

/** Bytes of the head, given the first {@link PROLOGUE_BYTES} of a delta. @throws OsupdError `damaged-delta`, `unsupported`. */
export function headSizeOf(prologue: Uint8Array): number {
  return headSize(parsePrologue(prologue));
}

/** @throws OsupdError `damaged-delta`; `unsupported` for a delta that needs a newer osupd. */
export function readHead(bytes: Uint8Array): DeltaHead {
  const prologue = parsePrologue(bytes);
  if (bytes.length !== headSize(prologue))
    throw damagedDelta(`the head has ${bytes.length} bytes, not ${headSize(prologue)}`);
  const imagesAt = PROLOGUE_BYTES + prologue.headerStored;
  const frame = bytes.subarray(PROLOGUE_BYTES, imagesAt);
  const header = parseHeader(
    decompressFrameSync(frame, { rawLength: prologue.headerRaw, maxWindowLog: HEADER_WINDOW_LOG }),
  );
  expectSum(header.records, prologue.payload, 'records');
  expectSum(header.images, prologue.images, 'images');
  return new DeltaHead(bytes, header, bytes.subarray(imagesAt), prologue.payload);
}

function expectSum(parts: readonly { readonly stored: number }[], expected: number, what: string): void {
  const total = parts.reduce((sum, { stored }) => sum + stored, 0);
  if (total !== expected) throw damagedDelta(`the ${what} have ${total} bytes, not the ${expected} declared`);
}

export class DeltaHead {
  /** What it was read from. */
  readonly bytes: Uint8Array;
  readonly header: Header;
  readonly payloadSize: number;
  readonly #imageSection: Uint8Array;

  constructor(bytes: Uint8Array, header: Header, imageSection: Uint8Array, payloadSize: number) {
    this.bytes = bytes;
    this.header = header;
    this.payloadSize = payloadSize;
    this.#imageSection = imageSection;
  }

  /** Bytes of the head; the payload follows. */
  get size(): number {
    return this.bytes.length;
  }

  /** Images that a device must have. */
  get from(): readonly Digest[] {
    return this.header.from;
  }

  /** Images that the delta leads to. */
  get to(): readonly Digest[] {
    return this.header.to;
  }

  /**
   * Makes the to-images. Every digest is checked.
   * @param from bytes of (at least) all from-images.
   * @throws OsupdError `verification-failed` when an image does not have its digest; `damaged-delta`; `not-found` for a
   * from-image that was not given.
   */
  async rebuildImages(from: ReadonlyMap<Digest, Uint8Array>): Promise<Map<Digest, Uint8Array>> {
    const known = await this.rebuildTrees(from);
    return new Map(this.to.map((digest) => [digest, known.get(digest)!.bytes]));
  }

  /** The same with all from-images and to-images, and their trees. */
  async rebuildTrees(from: ReadonlyMap<Digest, Uint8Array>): Promise<Map<Digest, KnownImage>> {
    const known: KnownImage[] = this.from.map((digest) => knownImage(digest, from.get(digest)));
    let at = 0;
    for (const [index, digest] of this.to.entries()) {
      const part = this.header.images[index] as ImagePart;
      const { bytes, tree } = await decodeImagePart(part, this.#imageSection.subarray(at, at + part.stored), known);
      at += part.stored;
      known.push(knownImage(digest, bytes, tree));
    }
    return new Map([...this.from, ...this.to].map((digest, index) => [digest, known[index]!]));
  }
}

function knownImage(digest: Digest, bytes: Uint8Array | undefined, tree?: Tree): KnownImage {
  if (bytes === undefined) throw new OsupdError('not-found', 'the delta starts from this image', { where: digest });
  const found = fsverityDigest(bytes);
  if (found !== digest)
    throw new OsupdError('verification-failed', `the image has the digest ${found}`, { where: digest });
  return new LazyImage(bytes, digest, tree);
}

/** Few images are bases: a tree is made when it is asked for. */
class LazyImage implements KnownImage {
  readonly bytes: Uint8Array;
  readonly #digest: Digest;
  #tree: Tree | undefined;

  constructor(bytes: Uint8Array, digest: Digest, tree: Tree | undefined) {
    this.bytes = bytes;
    this.#digest = digest;
    this.#tree = tree;
  }

  get tree(): Tree {
    this.#tree ??= decodeImage(this.bytes, this.#digest);
    return this.#tree;
  }
}
