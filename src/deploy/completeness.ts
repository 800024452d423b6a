/** Whether everything that a deployment's images name is in the pool, before anybody reads it through a mount. */
import { type Digest, objectName } from '../core/digest.ts';
import { OsupdError } from '../core/errors.ts';
import type { Progress } from '../core/progress.ts';
import { decodeImage } from '../image/read.ts';
import { checkContents, type ListedObject } from '../objects/check-contents.ts';
import { hashFiles } from '../objects/hash-files.ts';
import { ObjectWorkers } from '../objects/object-workers.ts';
import type { Pool } from '../objects/pool.ts';
import type { Problem } from '../objects/problem.ts';
import { formatTime } from '../repository/json-fields.ts';
import { type ObjectReference, objectsOf } from '../tree/references.ts';
import type { DeployedImage } from './deployment-files.ts';
import { type DueObjects, dueObjects } from './integrity/due.ts';
import { recorded, updateRecord } from './integrity/record.ts';

export interface CompletenessOptions {
  /**
   * True: read every object and compare its digest. False: an object counts when it is there with the right length. Left
   * out: read those that nothing vouches for (integrity/due.ts).
   */
  readonly verify?: boolean | undefined;
  /** The time, by which is known what was read lately; left out: nothing was, and nothing is noted. */
  readonly now?: Date | undefined;
  readonly progress: Progress;
  readonly signal?: AbortSignal;
}

/** Objects that an error names; the rest is counted. */
const NAMED_OBJECTS = 5;

/**
 * Checks the images of a stack and every object that they name. What was found is noted for `osupd status`.
 * @throws OsupdError `damaged-store` that names what is missing or damaged; `interrupted`.
 */
export async function checkComplete(
  pool: Pool,
  images: readonly DeployedImage[],
  options: CompletenessOptions,
): Promise<void> {
  const digests = images.map(({ digest }) => digest);
  const objects = await objectsOfImages(pool, digests);
  const { due, missing } = objectsToRead(pool, digests, objects, options);
  const damaged = due.length === 0 ? [] : await damagedObjects(due, options);
  if (options.now !== undefined && due.length > 0) await note(pool, digests, damaged, options.now);
  const bad = [...missing, ...damaged].flatMap(({ digest }) => (digest === undefined ? [] : [digest]));
  const [first] = bad;
  if (first === undefined) return;
  throw new OsupdError('damaged-store', `${bad.length} of ${objects.length} objects are missing or damaged`, {
    where: pool.objectPath(first),
    remedy: 'run osupd fsck --repair',
    facts: { count: bad.length, objects: bad.slice(0, NAMED_OBJECTS).map(objectName) },
  });
}

function objectsToRead(
  pool: Pool,
  images: readonly Digest[],
  objects: readonly ObjectReference[],
  { verify, now }: CompletenessOptions,
): DueObjects {
  if (verify === undefined) return dueObjects(pool, images, objects, now);
  const missing = objects.filter(({ digest, size }) => !pool.hasObject(digest, size));
  const absent = new Set(missing);
  const due = objects.flatMap((reference) => {
    const { digest, size } = reference;
    const fullPath = pool.objectPath(digest);
    return absent.has(reference) ? [] : [{ digest, size, fullPath, path: `objects/${objectName(digest)}` }];
  });
  return { missing, due: verify ? due : [] };
}

/** Bytes that are read and hashed in the time in which threads start. */
const WORTH_THREADS = 16 << 20;

const onThisThread = { size: 1, hash: async (paths: readonly string[]) => hashFiles(paths) };

async function damagedObjects(due: readonly ListedObject[], options: CompletenessOptions): Promise<Problem[]> {
  const named = new Map(due.map(({ digest, size }) => [digest, { size, images: [] }]));
  const bytes = due.reduce((sum, { size }) => sum + size, 0);
  if (bytes < WORTH_THREADS) return Array.fromAsync(checkContents(due, named, onThisThread, options));
  const workers = new ObjectWorkers();
  try {
    return await Array.fromAsync(checkContents(due, named, workers, options));
  } finally {
    await workers.close();
  }
}

/** Remembers that the images are good, or what is not. */
async function note(pool: Pool, images: readonly Digest[], problems: readonly Problem[], now: Date): Promise<void> {
  const damaged = recorded(problems.map((problem) => ({ ...problem, images })));
  const isNew = new Set(damaged.map(({ digest }) => digest));
  const time = formatTime(now);
  await updateRecord(pool.directory, (record) => ({
    ...record,
    images: { ...record.images, ...(damaged.length > 0 ? {} : Object.fromEntries(images.map((each) => [each, time]))) },
    damaged: [...record.damaged.filter(({ digest }) => !isNew.has(digest)), ...damaged],
  }));
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
