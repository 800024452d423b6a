/** Makes the images of a delta and lists the objects of images, on a thread of its own. */
import type { Digest } from '../core/digest.ts';
import { serveJobs } from '../core/workers.ts';
import { decodeImage } from '../image/read.ts';
import { objectsOf } from '../tree/references.ts';
import { readHead } from './head.ts';
import { type PackedReferences, packReferences } from './packed-references.ts';

export interface RebuildJob {
  /** The bytes of a delta's head; undefined: there is nothing to be made, only to be listed. */
  readonly head: Uint8Array | undefined;
  /** Images that are there, with all from-images. */
  readonly from: ReadonlyMap<Digest, Uint8Array>;
}

export interface Rebuilt {
  /** The to-images, checked. */
  readonly images: ReadonlyMap<Digest, Uint8Array>;
  /** The objects of the from-images and of those. */
  readonly objects: ReadonlyMap<Digest, PackedReferences>;
}

serveJobs(rebuild, ({ objects }) =>
  [...objects.values()].flatMap(({ digests, sizes }) => [digests.buffer, sizes.buffer]),
);

async function rebuild({ head: bytes, from }: RebuildJob): Promise<Rebuilt> {
  const objects = new Map<Digest, PackedReferences>();
  if (bytes === undefined) {
    for (const [digest, image] of from) objects.set(digest, packReferences(objectsOf(decodeImage(image, digest))));
    return { images: new Map(), objects };
  }
  const head = readHead(bytes);
  const known = await head.rebuildTrees(from);
  for (const [digest, { tree }] of known) objects.set(digest, packReferences(objectsOf(tree)));
  return { images: new Map(head.to.map((digest) => [digest, known.get(digest)!.bytes])), objects };
}
