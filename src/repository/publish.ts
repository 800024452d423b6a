/** `repo publish`: a built release becomes files of the repository and a signed manifest. */

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Digest } from '../core/digest.ts';
import { isSystemError, OsupdError } from '../core/errors.ts';
import type { Progress } from '../core/progress.ts';
import { sha256Of } from '../core/sha256.ts';
import type { DeltaImage } from '../delta/write.ts';
import { decodeImage } from '../image/read.ts';
import { Pool } from '../objects/pool.ts';
import { type ObjectReference, objectsOf } from '../tree/references.ts';
import { type BuildRecord, readBuildRecord } from './build-record.ts';
import type { DeltaEntry } from './delta-index.ts';
import { findDelta, keepDelta, makeDelta } from './deltas.ts';
import { imagePath, objectSizesPath, type ReleaseReference, releaseTarget } from './layout.ts';
import { decodeObjectSizes, encodeObjectSizes } from './object-sizes.ts';
import { encodeRelease, parseRelease, type Release, type StoredFile } from './release.ts';
import { Revision, type RevisionOptions } from './revision.ts';
import type { RoleName } from './roles.ts';
import { storeObjects } from './store-objects.ts';
import { compressBytes, decompressBytes, MAX_EFFORT } from './zstd.ts';

export interface PublishOptions extends RevisionOptions {
  /** Directory of the pool that the releases were built into. */
  readonly pool: string;
  readonly releases: readonly ReleaseReference[];
  /** 1 (fastest) to 9 (smallest). */
  readonly effort: number;
  /** Also makes the delta from nothing, for first installations. */
  readonly full: boolean;
  readonly progress: Progress;
  readonly signal?: AbortSignal | undefined;
}

export interface PublishedRelease {
  readonly release: Release;
  /** False when this version was published before. */
  readonly isNew: boolean;
  /** Objects that the repository did not have. */
  readonly addedObjects: number;
  /** The full delta, where it was made now. */
  readonly addedDelta?: DeltaEntry;
}

export interface Published {
  readonly releases: readonly PublishedRelease[];
  /** False when the repository had all of it before: readers see no difference. */
  readonly changed: boolean;
  /** Roles whose signatures are missing yet ({@link RevisionOptions.signLater}). */
  readonly waiting: readonly RoleName[];
}

/**
 * Publishes releases; readers see all of them at once. A release that is published already changes nothing, except that files of
 * it which are missing are made again.
 * @throws OsupdError `not-found` when one was not built or a key is missing; `usage` when a version is another image already;
 *   `damaged-store` when the pool is; `busy`
 */
export async function publishReleases(options: PublishOptions): Promise<Published> {
  using revision = await Revision.begin(options);
  revision.requireKeys('releases', ...(options.full ? (['deltas'] as const) : []), 'snapshot', 'timestamp');
  const pool = await Pool.open(options.pool);
  const builds: Build[] = [];
  for (const reference of options.releases) builds.push(await findBuild(revision, pool, reference));
  const releases: PublishedRelease[] = [];
  for (const build of builds) releases.push(await publishOne(revision, pool, build, options));
  const { roles, waiting } = await revision.commit();
  return { releases, changed: roles.length > 0, waiting };
}

interface Build {
  readonly record: BuildRecord;
  /** The manifest of this version, when it is published already. */
  readonly before: Release | undefined;
}

async function findBuild(revision: Revision, pool: Pool, reference: ReleaseReference): Promise<Build> {
  const record = await readBuildRecord(pool.directory, reference);
  const before = await readPublished(revision, reference);
  if (before !== undefined && before.image.digest !== record.image.digest) {
    throw anotherImage(before, record, revision.directory);
  }
  return { record, before };
}

async function publishOne(
  revision: Revision,
  pool: Pool,
  { record, before }: Build,
  options: PublishOptions,
): Promise<PublishedRelease> {
  const { digest } = record.image;
  const bytes = await pool.readImage(digest);
  const tree = decodeImage(bytes, pool.imagePath(digest));
  const objects = objectsOf(tree);
  const stored = await storeObjects(objects, { ...options, staging: await revision.staging(), source: pool });
  const release: Release = {
    ...(before ?? newRelease(record)),
    image: { ...record.image, stored: await storeImage(revision, digest, bytes) },
    objects: { ...countOf(objects), sizes: await storeSizes(revision, digest, stored.sizes) },
  };
  const addedDelta = options.full ? await addFullDelta(revision, { digest, bytes, tree }, pool, options) : undefined;
  revision.setTarget(releaseTarget(record), encodeRelease(release));
  return {
    release,
    isNew: before === undefined,
    addedObjects: stored.added,
    ...(addedDelta === undefined ? {} : { addedDelta }),
  };
}

/** The delta from nothing to the image, unless there is one. */
async function addFullDelta(
  revision: Revision,
  image: DeltaImage,
  store: Pool,
  options: PublishOptions,
): Promise<DeltaEntry | undefined> {
  if ((await findDelta(revision, [], [image.digest])) !== undefined) return undefined;
  const made = await makeDelta(revision, { ...options, from: [], to: [image], store });
  await keepDelta(revision, made);
  return made.entry;
}

/** Where manifests are read: a revision, or what is published now. */
export type PublishedTargets = Pick<Revision, 'directory' | 'readTarget'>;

/**
 * The manifest of a release in a revision, or undefined when it is not published.
 * @throws OsupdError `verification-failed` when its file does not say what its name says
 */
async function readPublished(targets: PublishedTargets, reference: ReleaseReference): Promise<Release | undefined> {
  const target = releaseTarget(reference);
  const bytes = await targets.readTarget(target);
  return bytes === undefined ? undefined : parseRelease(bytes, target);
}

/**
 * The manifest of a release that must be published.
 * @throws OsupdError `not-found`
 */
export async function requirePublished(targets: PublishedTargets, reference: ReleaseReference): Promise<Release> {
  const release = await readPublished(targets, reference);
  if (release !== undefined) return release;
  const name = `${reference.name}@${reference.version}`;
  const where = targets.directory;
  throw new OsupdError('not-found', `${name} is not published`, {
    where,
    remedy: `publish it first: osupd repo publish ${where} --keys KEYS --pool POOL ${name}`,
  });
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
  return { length: bytes.length, sha256: sha256Of(bytes) };
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
