/** `repo publish`: a built release becomes files of the repository and a signed manifest. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Digest } from '../core/digest.ts';
import { isSystemError, OsupdError } from '../core/errors.ts';
import type { Progress } from '../core/progress.ts';
import { decodeImage } from '../image/read.ts';
import { Pool } from '../objects/pool.ts';
import { type ObjectReference, objectsOf } from '../tree/references.ts';
import { type BuildRecord, readBuildRecord } from './build-record.ts';
import { findDelta, indexDelta, makeDelta } from './deltas.ts';
import type { KeyRing } from './key-ring.ts';
import { imagePath, objectSizesPath, type ReleaseReference, releaseTarget } from './layout.ts';
import { decodeObjectSizes, encodeObjectSizes } from './object-sizes.ts';
import { encodeRelease, parseRelease, type Release, type StoredFile } from './release.ts';
import { Revision } from './revision.ts';
import { storeObjects } from './store-objects.ts';
import { compressBytes, decompressBytes, MAX_EFFORT } from './zstd.ts';

export interface PublishOptions {
  readonly directory: string;
  readonly ring: KeyRing;
  /** Directory of the pool that the release was built into. */
  readonly pool: string;
  readonly release: ReleaseReference;
  readonly now: Date;
  /** 1 (fastest) to 9 (smallest). */
  readonly effort: number;
  /** Also makes the delta from nothing, for first installations. */
  readonly full: boolean;
  readonly progress: Progress;
  readonly signal?: AbortSignal | undefined;
}

export interface Published {
  readonly release: Release;
  /** False when the repository had all of it before: nothing was written. */
  readonly changed: boolean;
  readonly addedObjects: number;
}

/**
 * Publishes a release. The same release again changes nothing, except that files of it which are missing are made again.
 * @throws OsupdError `not-found` when it was not built or a key is missing; `usage` when this version is another image already;
 *   `damaged-store` when the pool is; `busy`
 */
export async function publishRelease(options: PublishOptions): Promise<Published> {
  const { directory, now, ring, progress, effort } = options;
  using revision = await Revision.begin(directory, ring, now);
  revision.requireKeys('releases', ...(options.full ? (['deltas'] as const) : []));
  const record = await readBuildRecord(options.pool, options.release);
  const before = await readPublished(revision, options.release);
  if (before !== undefined && before.image.digest !== record.image.digest)
    throw anotherImage(before, record, directory);

  const pool = await Pool.open(options.pool);
  const bytes = await pool.readImage(record.image.digest);
  const tree = decodeImage(bytes, pool.imagePath(record.image.digest));
  const objects = objectsOf(tree);
  const stored = await storeObjects(objects, { ...options, staging: await revision.staging(), source: pool });
  const release: Release = {
    ...(before ?? newRelease(record)),
    image: { ...record.image, stored: await storeImage(revision, record.image.digest, bytes) },
    objects: { ...countOf(objects), sizes: await storeSizes(revision, record.image.digest, stored.sizes) },
  };
  if (options.full && (await findDelta(revision, [], [record.image.digest])) === undefined) {
    const to = [{ digest: record.image.digest, bytes, tree }];
    await indexDelta(revision, await makeDelta(revision, { from: [], to, store: pool, effort, progress }));
  }
  revision.setTarget(releaseTarget(options.release), encodeRelease(release));
  const changed = await revision.commit();
  return { release, changed: changed.length > 0 || stored.added > 0, addedObjects: stored.added };
}

/**
 * The manifest of a release in a revision, or undefined when it is not published.
 * @throws OsupdError `verification-failed` when its file does not say what its name says
 */
export async function readPublished(revision: Revision, reference: ReleaseReference): Promise<Release | undefined> {
  const target = releaseTarget(reference);
  const bytes = await revision.readTarget(target);
  return bytes === undefined ? undefined : parseRelease(bytes, target);
}

function newRelease(record: BuildRecord): Omit<Release, 'image' | 'objects'> {
  const { schema: _schema, image: _image, objects: _objects, ...rest } = record;
  return { schema: 'osupd-release/1', ...rest };
}

function countOf(objects: readonly ObjectReference[]): { count: number; bytes: number } {
  return { count: objects.length, bytes: objects.reduce((sum, object) => sum + object.size, 0) };
}

/** The compressed image. A good one that is there stays: another release may refer to it by its hash. */
async function storeImage(revision: Revision, digest: Digest, bytes: Buffer): Promise<StoredFile> {
  const path = imagePath(digest);
  const isGood = async (frame: Buffer) => (await decompressBytes(frame, bytes.length, damaged(path))).equals(bytes);
  return storeFile(revision, path, isGood, () => compressBytes(bytes, MAX_EFFORT));
}

async function storeSizes(revision: Revision, image: Digest, sizes: readonly number[]): Promise<StoredFile> {
  const path = objectSizesPath(image);
  const isGood = async (frame: Buffer) => {
    const found = await decodeObjectSizes(frame, sizes.length, path);
    return found.every((size, index) => size === sizes[index]);
  };
  return storeFile(revision, path, isGood, () => encodeObjectSizes(sizes));
}

/** Keeps the file of this path where it is good, or has the revision write it. `isGood` may also throw an OsupdError for "no". */
async function storeFile(
  revision: Revision,
  path: string,
  isGood: (bytes: Buffer) => Promise<boolean>,
  make: () => Promise<Buffer>,
): Promise<StoredFile> {
  const present = await readIfThere(join(revision.directory, path));
  const keep = present !== undefined && (await isGood(present).catch(isNoOsupdError));
  const bytes = keep ? present : await make();
  if (!keep) revision.setFile(path, bytes);
  return { length: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
}

function isNoOsupdError(error: unknown): false {
  if (error instanceof OsupdError) return false;
  throw error;
}

async function readIfThere(file: string): Promise<Buffer | undefined> {
  try {
    return await readFile(file);
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return undefined;
    throw error;
  }
}

function damaged(where: string) {
  return (why: string, cause: unknown) => new OsupdError('damaged-repository', why, { where, cause });
}

function anotherImage(before: Release, { name, version, image }: BuildRecord, where: string): OsupdError {
  return new OsupdError('usage', `${name}@${version} is published already with another image`, {
    where,
    remedy: 'a published version never changes: build and publish it as a new version',
    facts: { published: before.image.digest, built: image.digest },
  });
}
