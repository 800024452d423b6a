/** The roles of a repository: who signs what, for how long (docs/formats/repository.md). */
import { OsupdError } from '../core/errors.ts';

/** The delegated roles, in the order in which targets lists them, with the names that each may sign. */
export const DELEGATED_PATHS = {
  releases: 'releases/*/*.json',
  channels: 'channels/*.json',
  deltas: 'deltas/*.json',
} as const;

export type DelegatedRoleName = keyof typeof DELEGATED_PATHS;
export type TopRoleName = 'root' | 'targets' | 'snapshot' | 'timestamp';
export type RoleName = TopRoleName | DelegatedRoleName;

export const DELEGATED_ROLES = Object.keys(DELEGATED_PATHS) as readonly DelegatedRoleName[];
export const TOP_ROLES: readonly TopRoleName[] = ['root', 'targets', 'snapshot', 'timestamp'];
export const ROLES: readonly RoleName[] = [...TOP_ROLES, ...DELEGATED_ROLES];

/** Roles whose keys need not be on the machine that publishes. */
export const OFFLINE_ROLES: readonly RoleName[] = ['root', 'targets'];

const DAY = 86_400;

/**
 * Seconds that a signature is good for unless `repo init` is told otherwise. Freshness comes from timestamp and snapshot
 * alone: a device that is kept from new ones notices within a week. The others bound the use of a stolen key.
 */
export const DEFAULT_LIFETIMES: Readonly<Record<RoleName, number>> = {
  root: 365 * DAY,
  targets: 365 * DAY,
  snapshot: 30 * DAY,
  timestamp: 7 * DAY,
  releases: 365 * DAY,
  channels: 365 * DAY,
  deltas: 365 * DAY,
};

export function isRole(text: string): text is RoleName {
  return (ROLES as readonly string[]).includes(text);
}

export function isDelegatedRole(role: RoleName): role is DelegatedRoleName {
  return Object.hasOwn(DELEGATED_PATHS, role);
}

/** The role whose metadata lists a role's keys. */
export function delegatorOf(role: RoleName): 'root' | 'targets' {
  return isDelegatedRole(role) ? 'targets' : 'root';
}

/**
 * Checks a role name that a user gave.
 * @throws OsupdError `usage`
 */
export function checkRole(text: string): RoleName {
  if (isRole(text)) return text;
  throw new OsupdError('usage', `"${text.slice(0, 80)}" is no role`, { remedy: `use one of ${ROLES.join(', ')}` });
}

/** The role that signs a target. */
export function roleOfTarget(target: string): DelegatedRoleName {
  const role = DELEGATED_ROLES.find((name) => target.startsWith(`${name}/`));
  if (role === undefined) throw new OsupdError('internal', 'no role signs this target', { where: target });
  return role;
}
