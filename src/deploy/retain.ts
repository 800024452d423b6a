/** Which deployments of a stack stay when gc has run. */
import type { StackLinks } from './links.ts';

export interface RetentionFacts {
  /** IDs of all deployments of the stack, the oldest first. */
  readonly ids: readonly string[];
  readonly links: StackLinks;
  readonly pinned: ReadonlySet<string>;
  /** IDs of those that are mounted, or still used by a process after they were switched away from. */
  readonly inUse: ReadonlySet<string>;
  /** How many old deployments stay, the rollback among them. */
  readonly keep: number;
}

/**
 * The current, the next and the rollback deployment stay, all pinned and all in use; besides, the newest old ones until
 * `keep` of them stay, the rollback counted. Old are those that are neither current nor next.
 *
 * @returns the IDs of the others, the oldest first.
 */
export function outdatedDeployments({ ids, links, pinned, inUse, keep }: RetentionFacts): string[] {
  const old = ids.filter((id) => id !== links.current && id !== links.next);
  const byAge = old.filter((id) => id !== links.rollback).reverse();
  const kept = new Set([...(links.rollback === undefined ? [] : [links.rollback]), ...byAge].slice(0, keep));
  return old.filter((id) => !kept.has(id) && !pinned.has(id) && !inUse.has(id));
}
