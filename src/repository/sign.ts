/** `repo sign`: signatures one by one, for changes whose keys are in different places. */
import type { Targets } from '@tufjs/models';
import { OsupdError } from '../core/errors.ts';
import { type PendingMetadata, readPending, removePending } from './pending.ts';
import { Revision, type RevisionOptions } from './revision.ts';
import { DELEGATED_ROLES, delegatorOf, isDelegatedRole, type RoleName, TOP_ROLES } from './roles.ts';
import { isSignedWith, type Signers, signersIn, signersOf } from './signing.ts';
import { type RepositoryView, type RoleMetadata, readView, roleMetadata } from './view.ts';

/** What a pending version of a role would change, for whoever is asked to sign it. */
export interface PendingChange {
  readonly role: RoleName;
  readonly version: number;
  /** UTC, `2030-01-31T23:59:59Z`. */
  readonly expires: string;
  /** Signatures that it has, and needs. */
  readonly signatures: number;
  readonly threshold: number;
  /** Names of targets that are added or get new content, and that are removed. */
  readonly changed: readonly string[];
  readonly removed: readonly string[];
  /** Roles that get other keys or another threshold. */
  readonly rekeyed: readonly RoleName[];
}

export interface Signed {
  readonly changes: readonly PendingChange[];
  /** Roles that have a new version; none while signatures are missing. */
  readonly roles: readonly RoleName[];
  readonly waiting: readonly RoleName[];
}

/**
 * What waits for signatures in a repository; nothing is changed.
 * @throws OsupdError `damaged-repository`, `not-found`
 */
export async function describePending(directory: string): Promise<PendingChange[]> {
  const view = await readView(directory);
  const pending = await readPending(directory);
  return [...pending].map(([role, metadata]) => describeChange(view, pending, role, metadata));
}

/**
 * Adds the signatures of the ring's keys to what waits for them, and makes it visible when none is missing any more.
 * @throws OsupdError `nothing-to-do` when nothing waits; `usage` when another change came in between; `busy`
 */
export async function signPending(options: Omit<RevisionOptions, 'signLater'>): Promise<Signed> {
  const { directory } = options;
  using revision = await Revision.begin({ ...options, signLater: true });
  const pending = await readPending(directory);
  if (pending.size === 0) throw new OsupdError('nothing-to-do', 'nothing waits for signatures', { where: directory });
  requireNext(revision.view, pending, directory);
  for (const [role, metadata] of pending) revision.adopt(role, metadata);
  for (const [role, signers] of newSigners(revision.view, pending)) revision.setSigners(role, signers);
  const commit = await revision.commit();
  if (commit.waiting.length === 0) removePending(directory);
  const changes = [...pending].map(([role, metadata]) => describeChange(revision.view, pending, role, metadata));
  return { changes, ...commit };
}

/**
 * Drops what waits for signatures.
 * @throws OsupdError `busy`, `not-found`
 */
export async function discardPending(options: Omit<RevisionOptions, 'signLater'>): Promise<void> {
  using revision = await Revision.begin(options);
  removePending(revision.directory);
}

/** Every pending version must follow the present one: else another change was published after it was prepared. */
function requireNext(view: RepositoryView, pending: PendingMetadata, where: string): void {
  for (const [role, metadata] of pending) {
    const present = roleMetadata(view, role).signed.version;
    if (metadata.signed.version === present + 1) continue;
    throw new OsupdError('usage', `the pending version of role "${role}" does not follow version ${present}`, {
      where,
      remedy: 'another change was published meanwhile: drop this one with osupd repo sign --discard and make it again',
    });
  }
}

/** Roles that the pending root or targets give other keys. */
function newSigners(view: RepositoryView, pending: PendingMetadata): Map<RoleName, Signers> {
  const found = new Map<RoleName, Signers>();
  const compare = (delegator: RoleMetadata | undefined, roles: readonly RoleName[]) => {
    if (delegator === undefined) return;
    for (const role of roles) {
      const after = signersOf(delegator, role);
      const before = signersIn(view, role);
      if (JSON.stringify(before) !== JSON.stringify(after)) found.set(role, after);
    }
  };
  compare(pending.get('root'), TOP_ROLES);
  compare(pending.get('targets'), DELEGATED_ROLES);
  return found;
}

function describeChange(
  view: RepositoryView,
  pending: PendingMetadata,
  role: RoleName,
  metadata: RoleMetadata,
): PendingChange {
  const delegator = delegatorOf(role);
  const signers = signersOf(pending.get(delegator) ?? roleMetadata(view, delegator), role);
  const before = isDelegatedRole(role) ? view.delegated[role].signed.targets : {};
  const after = isDelegatedRole(role) ? (metadata.signed as Targets).targets : {};
  const rekeyed = [...newSigners(view, pending).keys()];
  return {
    role,
    version: metadata.signed.version,
    expires: metadata.signed.expires,
    signatures: signers.keys.filter((key) => isSignedWith(metadata, key)).length,
    threshold: signers.threshold,
    changed: Object.keys(after).filter((name) => before[name]?.hashes.sha256 !== after[name]?.hashes.sha256),
    removed: Object.keys(before).filter((name) => after[name] === undefined),
    rekeyed: rekeyed.filter((name) => delegatorOf(name) === role),
  };
}
