/** `repo init`: keys, the first version of every role, and the empty layout. */
import { mkdir, realpath } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { OsupdError } from '../core/errors.ts';
import { syncFileSystem, writeFileDurably } from '../sys/durable.ts';
import { acquireLock } from '../sys/lock.ts';
import {
  delegatedDocument,
  rootDocument,
  snapshotDocument,
  type Term,
  targetsDocument,
  timestampDocument,
} from './documents.ts';
import { generateKey, type RandomBytes } from './key-file.ts';
import type { KeyRing } from './key-ring.ts';
import { metadataPath, TIMESTAMP_PATH } from './layout.ts';
import { DEFAULT_LIFETIMES, DELEGATED_ROLES, OFFLINE_ROLES, ROLES, type RoleName } from './roles.ts';
import { addSignatures, encodeMetadata, metaFileOf, requireKeys, type Signers } from './signing.ts';
import { isRepository, type RoleMetadata } from './view.ts';

export interface InitOptions {
  readonly directory: string;
  /** Keys for the roles that their files name; a role without any gets new ones. */
  readonly ring: KeyRing;
  readonly now: Date;
  readonly random: RandomBytes;
  /** How many keys must sign a role; 1 by default. */
  readonly thresholds?: Readonly<Partial<Record<RoleName, number>>>;
  /** Seconds until a role expires; {@link DEFAULT_LIFETIMES} by default. */
  readonly lifetimes?: Readonly<Partial<Record<RoleName, number>>>;
  /** Encrypts the private keys that are made. */
  readonly passphrase?: string;
}

export interface NewKey {
  readonly role: RoleName;
  readonly file: string;
  /** True for a key that need not be where releases are published. */
  readonly offline: boolean;
}

/**
 * Makes an empty repository. After a crash it can be run again: the first root, written last, is what makes a repository.
 * @returns the keys that were made
 * @throws OsupdError `usage` when there is a repository already, or the keys would lie in it; `not-found` when a threshold asks for
 *   more keys than there are
 */
export async function initRepository(options: InitOptions): Promise<{ newKeys: readonly NewKey[] }> {
  const { directory, ring } = options;
  await mkdir(directory, { recursive: true });
  await refuseKeysInside(directory, ring.directory);
  using _lock = acquireLock(join(directory, '.lock'), 'exclusive');
  if (await isRepository(directory)) {
    throw new OsupdError('usage', 'there is a repository here already', { where: directory });
  }
  const newKeys = await makeMissingKeys(options);
  const signers = Object.fromEntries(ROLES.map((role) => [role, signersFor(role, options)])) as AllSigners;
  const files = await signFirstVersions(options, signers);
  for (const folder of ['metadata', 'targets', 'images', 'objects', 'sizes', 'deltas']) {
    await mkdir(join(directory, folder), { recursive: true });
  }
  for (const [path, bytes] of files) await writeFileDurably(join(directory, path), bytes);
  syncFileSystem(directory);
  return { newKeys };
}

type AllSigners = Readonly<Record<RoleName, Signers>>;

async function refuseKeysInside(directory: string, keys: string): Promise<void> {
  const repository = await realpath(directory);
  await mkdir(keys, { recursive: true, mode: 0o700 });
  if (`${await realpath(keys)}/`.startsWith(`${repository}/`)) {
    throw new OsupdError('usage', 'the keys must not lie in the repository: it is served to everybody', {
      where: resolve(keys),
      remedy: 'choose another directory for --keys',
    });
  }
}

async function makeMissingKeys({ ring, random, thresholds, passphrase }: InitOptions): Promise<NewKey[]> {
  const made: NewKey[] = [];
  for (const role of ROLES) {
    if (ring.forRole(role).length > 0) continue;
    for (let count = thresholds?.[role] ?? 1; count > 0; count--) {
      const file = await ring.add(generateKey([role], random, passphrase));
      made.push({ role, file, offline: OFFLINE_ROLES.includes(role) });
    }
  }
  return made;
}

function signersFor(role: RoleName, { ring, thresholds }: InitOptions): Signers {
  const keys = ring.forRole(role);
  const threshold = thresholds?.[role] ?? 1;
  if (keys.length < threshold) {
    throw new OsupdError('usage', `role "${role}" has ${keys.length} keys, fewer than its threshold ${threshold}`, {
      where: ring.directory,
      remedy: `make more: osupd key generate --keys ${ring.directory} --role ${role}`,
    });
  }
  const signers = { keys, threshold };
  requireKeys(role, signers, ring);
  return signers;
}

/** The files in the order in which they are written. */
async function signFirstVersions(options: InitOptions, signers: AllSigners): Promise<Map<string, Buffer>> {
  const files = new Map<string, Buffer>();
  const sign = async (role: RoleName, path: string, make: (term: Term) => RoleMetadata) => {
    const lifetime = options.lifetimes?.[role] ?? DEFAULT_LIFETIMES[role];
    const metadata = make({ version: 1, now: options.now, lifetime });
    await addSignatures(metadata, signers[role].keys, options.ring);
    files.set(path, encodeMetadata(metadata));
    return metaFileOf(metadata);
  };
  const meta = new Map<string, ReturnType<typeof metaFileOf>>();
  for (const role of DELEGATED_ROLES) {
    const file = await sign(role, metadataPath(role, 1), (term) => delegatedDocument(term, new Map()));
    meta.set(`${role}.json`, file);
  }
  const signersOf = (role: RoleName) => signers[role];
  meta.set(
    'targets.json',
    await sign('targets', metadataPath('targets', 1), (term) => targetsDocument(term, signersOf)),
  );
  const snapshot = await sign('snapshot', metadataPath('snapshot', 1), (term) => snapshotDocument(term, meta));
  await sign('timestamp', TIMESTAMP_PATH, (term) => timestampDocument(term, snapshot));
  await sign('root', metadataPath('root', 1), (term) => rootDocument(term, signersOf));
  return files;
}
