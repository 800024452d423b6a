/** `repo refresh`: signs what expires soon again, for a timer to run daily. */
import { OsupdError } from '../core/errors.ts';
import { lifetimeOf } from './documents.ts';
import { Revision, type RevisionOptions } from './revision.ts';
import { DEFAULT_LIFETIMES, ROLES, type RoleName } from './roles.ts';
import { canSignFor } from './signing.ts';
import { roleMetadata } from './view.ts';

export interface RefreshOptions extends RevisionOptions {
  /** Sign these in any case, not only when they expire soon. */
  readonly roles?: readonly RoleName[];
  /** Other lifetimes, in seconds, from now on; their roles are signed again. */
  readonly lifetimes?: Readonly<Partial<Record<RoleName, number>>>;
}

export interface Refreshed {
  readonly signed: readonly RoleName[];
  /** Roles that expire soon and whose keys are elsewhere. */
  readonly expiring: readonly ExpiringRole[];
  /** Roles that were asked for and whose signatures are missing yet ({@link RevisionOptions.signLater}). */
  readonly waiting: readonly RoleName[];
}

export interface ExpiringRole {
  readonly role: RoleName;
  /** UTC, `2030-01-31T23:59:59Z`. */
  readonly expires: string;
  readonly expired: boolean;
}

/**
 * Signs every role again of whose lifetime less than a third is left, as far as the keys are at hand.
 * @throws OsupdError `not-found` when a role that was asked for lacks a key, or one has expired whose key is elsewhere (after the
 *   others have been signed); `busy`
 */
export async function refreshRepository(options: RefreshOptions): Promise<Refreshed> {
  const { directory, ring, now } = options;
  using revision = await Revision.begin(options);
  const asked = new Set([...(options.roles ?? []), ...(Object.keys(options.lifetimes ?? {}) as RoleName[])]);
  const expiring: ExpiringRole[] = [];
  for (const role of ROLES) {
    const { expires } = roleMetadata(revision.view, role).signed;
    if (asked.has(role)) {
      revision.renew(role, options.lifetimes?.[role]);
    } else if (isDue(revision, role, now)) {
      if (canSignFor(revision.signersOf(role), ring)) revision.renew(role);
      else expiring.push({ role, expires, expired: Date.parse(expires) <= now.getTime() });
    }
  }
  const { roles: signed, waiting } = await revision.commit();
  const expired = expiring.filter((role) => role.expired);
  if (expired.length > 0) {
    throw new OsupdError('not-found', `expired, and no key here can sign again: ${describe(expired)}`, {
      where: directory,
      remedy: 'run osupd repo refresh with the directory that holds the key as --keys',
      facts: { signed, expiring },
    });
  }
  return { signed, expiring, waiting };
}

function isDue(revision: Revision, role: RoleName, now: Date): boolean {
  const metadata = roleMetadata(revision.view, role);
  const lifetime = lifetimeOf(metadata) ?? DEFAULT_LIFETIMES[role];
  return Date.parse(metadata.signed.expires) - now.getTime() < (lifetime * 1000) / 3;
}

function describe(roles: readonly ExpiringRole[]): string {
  return roles.map(({ role, expires }) => `${role} (${expires})`).join(', ');
}
