/**
 * Making the images of a delta where memory counts. Trees take more of it than anything that comes after them: so they are made on a
 * thread that is gone afterwards.
 */
import type { Digest } from '../core/digest.ts';
import { WorkerPool, workerModule } from '../core/workers.ts';
import { decodeImage } from '../image/read.ts';
import { returnFreedMemory } from '../sys/memory.ts';
import { objectsOf } from '../tree/references.ts';
import type { DeltaHead } from './head.ts';
import type { ImageObjects } from './object-order.ts';
import { unpackReferences } from './packed-references.ts';
import type { RebuildJob, Rebuilt } from './rebuild-worker.ts';
import { sum } from './total-size.ts';

export interface RebuiltImages {
  /** The to-images, checked. */
  readonly images: ReadonlyMap<Digest, Uint8Array>;
  /** The objects of the from-images and of those. */
  readonly objects: ReadonlyMap<Digest, ImageObjects>;
}

/** Images that come to fewer bytes take less memory than a thread. */
const THREADED_BYTES = 1 << 20;

/** The runtime would take 48: a third of what the trees of a system need. */
const YOUNG_MEGABYTES = 6;

/**
 * Makes the to-images of a delta, and lists what they and the from-images name.
 * @param from bytes of (at least) all from-images.
 * @throws OsupdError `verification-failed` when an image does not have its digest; `damaged-delta`; `damaged-image`; `not-found` for a
 * from-image that was not given.
 */
export async function rebuildImages(head: DeltaHead, from: ReadonlyMap<Digest, Uint8Array>): Promise<RebuiltImages> {
  const needed = new Map([...from].filter(([digest]) => head.from.includes(digest)));
  const raw = sum(head.header.images.map((part) => part.raw));
  if (totalLength(needed) + raw >= THREADED_BYTES) return onThread({ head: head.bytes, from: needed });
  const known = await head.rebuildTrees(needed);
  return {
    images: new Map(head.to.map((digest) => [digest, known.get(digest)!.bytes])),
    objects: new Map([...known].map(([digest, { tree }]) => [digest, objectsOf(tree)])),
  };
}

/** The objects that an image names, in its order. @throws OsupdError `damaged-image` */
export async function listObjects(digest: Digest, image: Uint8Array): Promise<ImageObjects> {
  if (image.length < THREADED_BYTES) return objectsOf(decodeImage(image, digest));
  const { objects } = await onThread({ head: undefined, from: new Map([[digest, image]]) });
  return objects.get(digest)!;
}

async function onThread(job: RebuildJob): Promise<RebuiltImages> {
  const threads = new WorkerPool<RebuildJob, Rebuilt>(workerModule(import.meta.url, './rebuild-worker'), {
    size: 1,
    youngMegabytes: YOUNG_MEGABYTES,
  });
  let rebuilt: Rebuilt;
  try {
    rebuilt = await threads.run(job);
  } finally {
    await threads.close();
    returnFreedMemory();
  }
  const objects = new Map([...rebuilt.objects].map(([digest, packed]) => [digest, unpackReferences(packed)]));
  return { images: rebuilt.images, objects };
}

function totalLength(images: ReadonlyMap<Digest, Uint8Array>): number {
  return sum([...images.values()].map(({ length }) => length));
}
