/** Whether everything that a deployment's images name is in the pool, before anybody reads it through a mount. */
import { type Digest, objectName } from '../core/digest.ts';
import { OsupdError } from '../core/errors.ts';
import type { Progress } from '../core/progress.ts';
import { decodeImage } from '../image/read.ts';
import { FsverityHasher } from '../objects/fsverity.ts';
import type { Pool } from '../objects/pool.ts';
import { type ObjectReference, objectsOf } from '../tree/references.ts';
import type { DeployedImage } from './deployment-files.ts';

export interface CompletenessOptions {
  /** Also read every object and compare its digest. Without it an object counts when it is there with the right length. */
  readonly verify?: boolean;
  readonly progress: Progress;
  readonly signal?: AbortSignal;
}

/** Objects that an error names; the rest is counted. */
const NAMED_OBJECTS = 5;
const CHUNK_BYTES = 1 << 20;

/**
 * Checks the images of a stack and every object that they name.
 * @throws OsupdError `damaged-store` that names what is missing or damaged; `interrupted`.
 */
export async function checkComplete(
  pool: Pool,
  images: readonly DeployedImage[],
  options: CompletenessOptions,
): Promise<void> {
  const objects = await objectsOfImages(
    pool,
    images.map(({ digest }) => digest),
  );
  const bad = options.verify
    ? await damagedObjects(pool, objects, options)
    : objects.filter(({ digest, size }) => !pool.hasObject(digest, size));
  const [first] = bad;
  if (first === undefined) return;
  throw new OsupdError('damaged-store', `${bad.length} of ${objects.length} objects are missing or damaged`, {
    where: pool.objectPath(first.digest),
    remedy: 'run osupd fsck --repair',
    facts: { count: bad.length, objects: bad.slice(0, NAMED_OBJECTS).map(({ digest }) => objectName(digest)) },
  });
}

/**
 * Every object that some images name, once. The images themselves are checked against their digests.
 * @throws OsupdError `damaged-store` for an image that is missing or changed; `damaged-image`.
 */
export async function objectsOfImages(pool: Pool, images: Iterable<Digest>): Promise<ObjectReference[]> {
  const objects = new Map<Digest, ObjectReference>();
  for (const digest of new Set(images)) {
    if (!pool.hasImage(digest)) throw missingImage(pool, digest);
    const tree = decodeImage(await pool.readImage(digest), pool.imagePath(digest));
    for (const reference of objectsOf(tree)) objects.set(reference.digest, reference);
  }
  return [...objects.values()];
}

function missingImage(pool: Pool, digest: Digest): OsupdError {
  return new OsupdError('damaged-store', 'the image is missing', {
    where: pool.imagePath(digest),
    remedy: 'run osupd fsck --repair',
    facts: { image: digest },
  });
}

async function damagedObjects(
  pool: Pool,
  objects: readonly ObjectReference[],
  { progress, signal }: CompletenessOptions,
): Promise<ObjectReference[]> {
  const step = 'verifying objects';
  const damaged: ObjectReference[] = [];
  let done = 0;
  progress({ kind: 'start', step, unit: 'bytes', total: objects.reduce((sum, { size }) => sum + size, 0) });
  for (const reference of objects) {
    signal?.throwIfAborted();
    if (!pool.hasObject(reference.digest, reference.size)) damaged.push(reference);
    else if ((await digestOf(pool, reference)) !== reference.digest) damaged.push(reference);
    done += reference.size;
    progress({ kind: 'advance', step, done });
  }
  progress({ kind: 'finish', step, done });
  return damaged;
}

async function digestOf(pool: Pool, { digest, size }: ObjectReference): Promise<Digest> {
  await using object = await pool.openObject(digest);
  const hasher = new FsverityHasher();
  for (let offset = 0; offset < size; offset += CHUNK_BYTES) {
    hasher.update(await object.read(offset, Math.min(CHUNK_BYTES, size - offset)));
  }
  return hasher.digest();
}
