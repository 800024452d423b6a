/** What a view of a repository says: its releases, channels and delta indexes, and every file that they refer to. */

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Digest } from '../core/digest.ts';
import { isSystemError, OsupdError } from '../core/errors.ts';
import { decodeImage } from '../image/read.ts';
import { type ObjectReference, objectsOf } from '../tree/references.ts';
import { type Channel, parseChannel } from './channel.ts';
import { type DeltaIndex, parseDeltaIndex } from './delta-index.ts';
import { imagePath, metadataPath, objectPath, objectSizesPath, TIMESTAMP_PATH, targetPath } from './layout.ts';
import { isStored, parseRelease, type Release, type StoredFile } from './release.ts';
import { DELEGATED_ROLES, type DelegatedRoleName, ROLES } from './roles.ts';
import { type RepositoryView, readTarget, roleMetadata } from './view.ts';
import { decompressBytes } from './zstd.ts';

/** The documents of a view by the names of their targets. */
export interface RepositoryContents {
  readonly releases: ReadonlyMap<string, Release>;
  readonly channels: ReadonlyMap<string, Channel>;
  readonly indexes: ReadonlyMap<string, DeltaIndex>;
}

/**
 * Reads all documents.
 * @param onBad told of one that is missing, damaged or invalid; by default it is thrown
 */
export async function readContents(
  directory: string,
  view: RepositoryView,
  onBad: (error: OsupdError) => void = rethrow,
): Promise<RepositoryContents> {
  const readAll = async <Document>(
    role: DelegatedRoleName,
    parse: (bytes: Uint8Array, where: string) => Document,
  ): Promise<Map<string, Document>> => {
    const found = new Map<string, Document>();
    for (const [target, info] of Object.entries(view.delegated[role].signed.targets).sort(([a], [b]) =>
      a < b ? -1 : 1,
    )) {
      try {
        found.set(target, parse(await readTarget(directory, target, info), target));
      } catch (error) {
        if (!(error instanceof OsupdError)) throw error;
        onBad(error);
      }
    }
    return found;
  };
  return {
    releases: await readAll('releases', parseRelease),
    channels: await readAll('channels', parseChannel),
    indexes: await readAll('deltas', parseDeltaIndex),
  };
}

/**
 * A file that a signed document refers to by its length and SHA-256.
 * @throws OsupdError `damaged-repository`
 */
export async function readStoredFile(directory: string, path: string, stored: StoredFile): Promise<Buffer> {
  const where = join(directory, path);
  let bytes: Buffer;
  try {
    bytes = await readFile(where);
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) throw damaged(where, 'it is missing');
    throw error;
  }
  if (!isStored(bytes, stored)) {
    throw damaged(where, 'its content is not what the release says');
  }
  return bytes;
}

/**
 * The metadata image of a release, decompressed.
 * @throws OsupdError `damaged-repository`
 */
export async function readReleaseImage(directory: string, { image }: Release): Promise<Buffer> {
  const path = imagePath(image.digest);
  const frame = await readStoredFile(directory, path, image.stored);
  return decompressBytes(frame, image.size, (why, cause) => damaged(join(directory, path), why, cause));
}

/** The metadata and targets of a view, relative to the repository's root; all roots among them. */
export function signedFiles(view: RepositoryView): Set<string> {
  const files = new Set<string>([TIMESTAMP_PATH]);
  for (let version = 1; version <= view.root.signed.version; version++) files.add(metadataPath('root', version));
  for (const role of ROLES) {
    if (role !== 'root' && role !== 'timestamp') files.add(metadataPath(role, roleMetadata(view, role).signed.version));
  }
  for (const role of DELEGATED_ROLES) {
    for (const [target, info] of Object.entries(view.delegated[role].signed.targets)) {
      files.add(targetPath(target, info.hashes.sha256 ?? ''));
    }
  }
  return files;
}

/** The images, object sizes, objects and deltas that documents refer to, relative to the repository's root. */
export async function contentFiles(directory: string, contents: RepositoryContents): Promise<Set<string>> {
  const files = new Set<string>();
  for (const release of contents.releases.values()) {
    files.add(imagePath(release.image.digest));
    files.add(objectSizesPath(release.image.digest));
  }
  for (const { digest } of await objectsOfReleases(directory, contents.releases.values())) {
    files.add(objectPath(digest));
  }
  for (const index of contents.indexes.values()) for (const delta of index.deltas) files.add(delta.file);
  return files;
}

/** The objects of all releases, each once. */
async function objectsOfReleases(directory: string, releases: Iterable<Release>): Promise<Iterable<ObjectReference>> {
  const objects = new Map<Digest, ObjectReference>();
  const seen = new Set<Digest>();
  for (const release of releases) {
    const { digest } = release.image;
    if (seen.has(digest)) continue;
    seen.add(digest);
    const tree = decodeImage(await readReleaseImage(directory, release), imagePath(digest));
    for (const object of objectsOf(tree)) objects.set(object.digest, object);
  }
  return objects.values();
}

function damaged(where: string, why: string, cause?: unknown): OsupdError {
  return new OsupdError('damaged-repository', why, {
    where,
    remedy: 'publish the release again',
    ...(cause === undefined ? {} : { cause }),
  });
}

function rethrow(error: OsupdError): never {
  throw error;
}
