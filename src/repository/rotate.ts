/** `repo rotate`: other keys or another threshold for a role. */
import { OsupdError } from '../core/errors.ts';
import { generateKey, type RandomBytes } from './key-file.ts';
import { Revision, type RevisionOptions } from './revision.ts';
import type { RoleName } from './roles.ts';
import type { PublicKey, Signers } from './signing.ts';

export interface RotateOptions extends RevisionOptions {
  readonly role: RoleName;
  /** Ids, or the first 8 digits or more of them, of the keys that the role has from now on; none makes new ones. */
  readonly keyIds: readonly string[];
  /** How many keys must sign; as before, by default. */
  readonly threshold?: number | undefined;
  readonly random: RandomBytes;
  /** Encrypts the private keys that are made. */
  readonly passphrase?: string | undefined;
}

export interface Rotated {
  readonly before: Signers;
  readonly after: Signers;
  /** Files of the keys that were made. */
  readonly newKeys: readonly string[];
  readonly roles: readonly RoleName[];
  readonly waiting: readonly RoleName[];
}

/** Whose keys it takes to give a role other keys: never its own, which may be lost, but for root. */
const ROLES_TO_ROTATE: Readonly<Record<RoleName, readonly RoleName[]>> = {
  root: ['root'],
  timestamp: ['root'],
  snapshot: ['root', 'timestamp'],
  targets: ['root', 'snapshot', 'timestamp'],
  releases: ['targets', 'snapshot', 'timestamp'],
  channels: ['targets', 'snapshot', 'timestamp'],
  deltas: ['targets', 'snapshot', 'timestamp'],
};

/**
 * Changes a role's keys. A top-level role takes a new root, signed by the old and the new root keys; a delegated one a new
 * targets. What the role signs is signed again in the same step, so readers meet either the old keys or the new. The keys and
 * threshold that it has already change nothing.
 * @throws OsupdError `not-found` for a key, `usage` for fewer keys than the threshold, `busy`
 */
export async function rotateKeys(options: RotateOptions): Promise<Rotated> {
  const { role, ring } = options;
  using revision = await Revision.begin(options);
  const before = revision.signersOf(role);
  const threshold = options.threshold ?? before.threshold;
  revision.requireKeys(...ROLES_TO_ROTATE[role]);
  const newKeys: string[] = [];
  const keys: PublicKey[] = options.keyIds.map((id) => findKey([...ring.keys, ...before.keys], id, ring.directory));
  if (keys.length === 0) {
    for (let count = 0; count < threshold; count++) {
      const key = generateKey([role], options.random, options.passphrase);
      newKeys.push(await ring.add(key));
      keys.push(key);
    }
  }
  const after = { keys: [...new Map(keys.map((key) => [key.keyId, key])).values()], threshold };
  if (after.keys.length < threshold) {
    throw new OsupdError('usage', `${after.keys.length} keys cannot meet the threshold ${threshold}`, {
      remedy: 'name more keys or give a smaller --threshold',
    });
  }
  if (!isSame(before, after)) revision.setSigners(role, after);
  return { before, after, newKeys, ...(await revision.commit()) };
}

function isSame(before: Signers, after: Signers): boolean {
  const ids = ({ keys }: Signers) => new Set(keys.map(({ keyId }) => keyId));
  return before.threshold === after.threshold && ids(before).symmetricDifference(ids(after)).size === 0;
}

function findKey(keys: readonly PublicKey[], id: string, where: string): PublicKey {
  const found = keys.filter((key) => key.keyId.startsWith(id));
  const [key] = found;
  if (key !== undefined && id.length >= 8 && found.every((other) => other.keyId === key.keyId)) return key;
  throw new OsupdError('not-found', `there is no key ${id}`, {
    where,
    remedy: 'osupd key list shows the ids; give 8 digits or more',
  });
}
