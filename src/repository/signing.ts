/** Signing TUF metadata with a key ring, and writing it as files. */

import { Metadata, MetadataKind, MetaFile, Signature } from '@tufjs/models';
import { OsupdError } from '../core/errors.ts';
import { sha256Of } from '../core/sha256.ts';
import { type KeyFile, tufKey } from './key-file.ts';
import type { KeyRing } from './key-ring.ts';
import { delegatorOf, type RoleName } from './roles.ts';
import { type RepositoryView, type RoleMetadata, roleMetadata } from './view.ts';

/** A key as metadata lists it. */
export type PublicKey = Pick<KeyFile, 'keyId' | 'public'>;

/** Who signs a role: any `threshold` of these keys. */
export interface Signers {
  readonly keys: readonly PublicKey[];
  readonly threshold: number;
}

/** Who signs a role, as a view says. */
export function signersIn(view: RepositoryView, role: RoleName): Signers {
  return signersOf(roleMetadata(view, delegatorOf(role)), role);
}

/** Who signs a role, as the metadata of its delegator says: root for top-level roles, targets for delegated ones. */
export function signersOf(delegator: RoleMetadata, role: RoleName): Signers {
  const { signed } = delegator;
  const lists =
    signed.type === MetadataKind.Root ? signed : signed.type === MetadataKind.Targets ? signed.delegations : undefined;
  const listed = lists?.roles?.[role];
  if (lists === undefined || listed === undefined) {
    throw new OsupdError('damaged-repository', `no keys are listed for role "${role}"`, { facts: { role } });
  }
  const keys = listed.keyIDs.map((keyId) => ({ keyId, public: lists.keys[keyId]?.keyVal.public ?? '' }));
  return { keys, threshold: listed.threshold };
}

/** Adds the signatures of all given keys that the ring can sign with. */
export async function addSignatures(metadata: RoleMetadata, keys: readonly PublicKey[], ring: KeyRing): Promise<void> {
  const bytes = signedBytes(metadata);
  for (const key of keys) {
    const { keyId } = key;
    if (!ring.canSign(keyId) || isSignedWith(metadata, key)) continue;
    const signature = await ring.sign(keyId, bytes);
    metadata.signatures[keyId] = new Signature({ keyID: keyId, sig: signature.toString('hex') });
  }
}

/** True when enough of the signers' keys have signed. */
export function isComplete(metadata: RoleMetadata, { keys, threshold }: Signers): boolean {
  return keys.filter((key) => isSignedWith(metadata, key)).length >= threshold;
}

/** True when the ring can sign for a role. */
export function canSignFor({ keys, threshold }: Signers, ring: KeyRing): boolean {
  return keys.filter(({ keyId }) => ring.canSign(keyId)).length >= threshold;
}

/**
 * Checks that the ring can sign for a role.
 * @throws OsupdError `not-found` that names the keys that are missing
 */
export function requireKeys(role: RoleName, signers: Signers, ring: KeyRing): void {
  if (canSignFor(signers, ring)) return;
  const { keys, threshold } = signers;
  const missing = keys.map(({ keyId }) => keyId).filter((keyId) => !ring.canSign(keyId));
  const ids = missing.map((keyId) => keyId.slice(0, 8)).join(', ');
  const found = keys.length - missing.length;
  const lacks = threshold === 1 ? 'the key is not here' : `only ${found} of the ${threshold} keys needed are here`;
  throw new OsupdError('not-found', `cannot sign for role "${role}": ${lacks} (${ids})`, {
    where: ring.directory,
    remedy: 'give the directory that holds the key with --keys',
    facts: { role, missing, threshold },
  });
}

/**
 * Checks that the present metadata of a role was signed by a key of the ring, or failing that, that of the role which lists its
 * keys. Without this, whoever can write to the repository could have us sign what they put there.
 * @throws OsupdError `verification-failed`
 */
export function requireAnchor(view: RepositoryView, role: RoleName, ring: KeyRing): void {
  const isAnchored = (name: RoleName): boolean => {
    const metadata = roleMetadata(view, name);
    const own = signersIn(view, name).keys.filter(({ keyId }) => ring.find(keyId) !== undefined);
    if (own.some((key) => isSignedWith(metadata, key))) return true;
    return name !== 'root' && isAnchored(delegatorOf(name));
  };
  if (isAnchored(role)) return;
  throw new OsupdError('verification-failed', `no key here has signed the present metadata of role "${role}"`, {
    where: ring.directory,
    remedy: 'make sure that the repository is yours, then add the public half of a root key: osupd key add --role root',
    facts: { role },
  });
}

/** True when the metadata carries a good signature of this key. */
export function isSignedWith(metadata: RoleMetadata, key: PublicKey): boolean {
  try {
    tufKey(key).verifySignature(metadata);
    return true;
  } catch {
    // The library's error classes are not exported; whatever it throws, the signature does not count.
    return false;
  }
}

/** The bytes that signatures of the metadata are made over: the canonical JSON of its signed part. */
function signedBytes(metadata: RoleMetadata): Buffer {
  let captured: Buffer = Buffer.alloc(0);
  // The library signs through a synchronous callback; keys may be behind commands, so take the bytes out of it.
  new Metadata(metadata.signed).sign((bytes) => {
    captured = bytes;
    return new Signature({ keyID: '', sig: '' });
  });
  return captured;
}

/** The bytes of a metadata file. */
export function encodeMetadata(metadata: RoleMetadata): Buffer {
  return Buffer.from(`${JSON.stringify(metadata.toJSON())}\n`, 'utf8');
}

/** What snapshot and timestamp say of a metadata file. */
export function metaFileOf(metadata: RoleMetadata): MetaFile {
  const bytes = encodeMetadata(metadata);
  const sha256 = sha256Of(bytes);
  return new MetaFile({ version: metadata.signed.version, length: bytes.length, hashes: { sha256 } });
}
