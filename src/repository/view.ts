/** The signed state of a repository as a reader sees it now: what timestamp.json leads to, each step checked. */

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  Metadata,
  MetadataKind,
  type Root,
  type Snapshot,
  type TargetFile,
  type Targets,
  type Timestamp,
} from '@tufjs/models';
import { isSystemError, OsupdError } from '../core/errors.ts';
import { MAX_METADATA_BYTES } from '../core/limits.ts';
import { sha256Of } from '../core/sha256.ts';
import { parseJson } from './json-fields.ts';
import { metadataPath, TIMESTAMP_PATH, targetPath } from './layout.ts';
import { DELEGATED_ROLES, type DelegatedRoleName, type RoleName } from './roles.ts';

export type RoleMetadata = Metadata<Root> | Metadata<Timestamp> | Metadata<Snapshot> | Metadata<Targets>;

export interface RepositoryView {
  readonly root: Metadata<Root>;
  readonly timestamp: Metadata<Timestamp>;
  readonly snapshot: Metadata<Snapshot>;
  readonly targets: Metadata<Targets>;
  readonly delegated: Readonly<Record<DelegatedRoleName, Metadata<Targets>>>;
  /**
   * Roles whose signatures are good for the root before the newest one only: what a rotation that was cut short leaves. The next
   * revision signs them again.
   */
  readonly outdated: ReadonlySet<RoleName>;
}

/** The metadata of a role in a view. */
export function roleMetadata(view: RepositoryView, role: RoleName): RoleMetadata {
  switch (role) {
    case 'root':
    case 'timestamp':
    case 'snapshot':
    case 'targets':
      return view[role];
    default:
      return view.delegated[role];
  }
}

/**
 * Reads the view from a repository's directory. Expired metadata is accepted: whoever publishes renews it.
 * @throws OsupdError `not-found` when there is no repository, `verification-failed` for a signature, `damaged-repository` for
 *   files that are missing, malformed or not what their referrer says
 */
export async function readView(directory: string): Promise<RepositoryView> {
  const { root, previous } = await readRoots(directory);
  const outdated = new Set<RoleName>();
  const checkTop = (role: RoleName, metadata: RoleMetadata, where: string) => {
    if (isSignedBy(root, role, metadata)) return;
    if (previous === undefined || !isSignedBy(previous, role, metadata)) throw unsigned(role, where);
    outdated.add(role);
  };

  const timestampFile = join(directory, TIMESTAMP_PATH);
  const timestamp = parseMetadata(MetadataKind.Timestamp, await readMetadata(timestampFile), timestampFile);
  checkTop('timestamp', timestamp, timestampFile);

  const { snapshotMeta } = timestamp.signed;
  const snapshotFile = join(directory, metadataPath('snapshot', snapshotMeta.version));
  const snapshot = parseMetadata(MetadataKind.Snapshot, await readChecked(snapshotFile, snapshotMeta), snapshotFile);
  checkTop('snapshot', snapshot, snapshotFile);

  const readTargets = async (role: RoleName) => {
    const meta = snapshot.signed.meta[`${role}.json`];
    if (meta === undefined) throw damaged(snapshotFile, `it does not list ${role}.json`);
    const file = join(directory, metadataPath(role, meta.version));
    return { file, metadata: parseMetadata(MetadataKind.Targets, await readChecked(file, meta), file) };
  };
  const { file: targetsFile, metadata: targets } = await readTargets('targets');
  checkTop('targets', targets, targetsFile);
  const delegated: Partial<Record<DelegatedRoleName, Metadata<Targets>>> = {};
  for (const role of DELEGATED_ROLES) {
    const { file, metadata } = await readTargets(role);
    if (!isSignedBy(targets, role, metadata)) throw unsigned(role, file);
    delegated[role] = metadata;
  }
  return {
    root,
    timestamp,
    snapshot,
    targets,
    delegated: delegated as Record<DelegatedRoleName, Metadata<Targets>>,
    outdated,
  };
}

/**
 * The content of a target.
 * @param info what its role says of it
 * @throws OsupdError `damaged-repository` when the file is missing or not what the role says
 */
export function readTarget(directory: string, target: string, info: TargetFile): Promise<Buffer> {
  return readChecked(join(directory, targetPath(target, info.hashes.sha256 ?? '')), info);
}

/**
 * Checks that there is a repository.
 * @throws OsupdError `not-found`
 */
export async function requireRepository(directory: string): Promise<void> {
  if (await isRepository(directory)) return;
  throw new OsupdError('not-found', 'there is no repository here', {
    where: directory,
    remedy: `make one: osupd repo init ${directory} --keys KEYS`,
  });
}

/** True when the directory holds a repository: the first root is the last file that `repo init` writes. */
export async function isRepository(directory: string): Promise<boolean> {
  return (await readRoot(directory, 1)) !== undefined;
}

/** True when `metadata` carries the signatures that `delegator` (a root or targets) asks of `role`. */
export function isSignedBy(
  delegator: Metadata<Root> | Metadata<Targets>,
  role: RoleName,
  metadata: RoleMetadata,
): boolean {
  try {
    delegator.verifyDelegate(role, metadata);
    return true;
  } catch {
    // The library tells an unknown role and a missing signature by classes it does not export; here both mean "no".
    return false;
  }
}

/** The newest root, with the chain from the first one checked, and the one before. */
async function readRoots(directory: string): Promise<{ root: Metadata<Root>; previous: Metadata<Root> | undefined }> {
  let previous: Metadata<Root> | undefined;
  await requireRepository(directory);
  let root = (await readRoot(directory, 1)) as Metadata<Root>;
  if (!isSignedBy(root, 'root', root)) throw unsigned('root', join(directory, metadataPath('root', 1)));
  for (;;) {
    const next = await readRoot(directory, root.signed.version + 1);
    if (next === undefined) return { root, previous };
    if (!isSignedBy(root, 'root', next) || !isSignedBy(next, 'root', next)) {
      throw unsigned('root', join(directory, metadataPath('root', next.signed.version)));
    }
    previous = root;
    root = next;
  }
}

async function readRoot(directory: string, version: number): Promise<Metadata<Root> | undefined> {
  const file = join(directory, metadataPath('root', version));
  let bytes: Buffer;
  try {
    bytes = await readFile(file);
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return undefined;
    throw error;
  }
  const root = parseMetadata(MetadataKind.Root, bytes, file);
  if (root.signed.version !== version) throw damaged(file, `it says that it is version ${root.signed.version}`);
  return root;
}

async function readMetadata(file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) throw damaged(file, 'it is missing');
    throw error;
  }
}

interface FileInfo {
  readonly length?: number;
  readonly hashes?: Readonly<Record<string, string>>;
}

async function readChecked(file: string, info: FileInfo): Promise<Buffer> {
  const bytes = await readMetadata(file);
  if (bytes.length > MAX_METADATA_BYTES) {
    throw new OsupdError('limit-exceeded', `it has ${bytes.length} bytes; the limit is ${MAX_METADATA_BYTES}`, {
      where: file,
    });
  }
  const sha256 = sha256Of(bytes);
  if (bytes.length !== info.length || sha256 !== info.hashes?.sha256) {
    throw damaged(file, 'its content is not what the file that refers to it says');
  }
  return bytes;
}

type Kinds = {
  [MetadataKind.Root]: Root;
  [MetadataKind.Timestamp]: Timestamp;
  [MetadataKind.Snapshot]: Snapshot;
  [MetadataKind.Targets]: Targets;
};

/**
 * Parses one TUF metadata file.
 * @throws OsupdError `damaged-repository`
 */
export function parseMetadata<Kind extends keyof Kinds>(
  kind: Kind,
  bytes: Uint8Array,
  where: string,
): Metadata<Kinds[Kind]> {
  const json = parseJson(bytes, (what) => damaged(where, what));
  try {
    // The overloads of fromJSON take one kind each; `kind` is one of them.
    return Metadata.fromJSON(kind as MetadataKind.Targets, json as never) as unknown as Metadata<Kinds[Kind]>;
  } catch (cause) {
    throw damaged(where, `it is not valid TUF metadata: ${(cause as Error).message}`, cause);
  }
}

function unsigned(role: RoleName, where: string): OsupdError {
  return new OsupdError('verification-failed', `it is not signed by the keys of role "${role}"`, { where });
}

function damaged(where: string, what: string, cause?: unknown): OsupdError {
  return new OsupdError('damaged-repository', what, {
    where,
    remedy: 'restore the file from a copy of the repository',
    ...(cause === undefined ? {} : { cause }),
  });
}
