/** What a deployment shows that another does not. */
import type { Pool } from '../objects/pool.ts';
import { compareTrees, type Difference } from '../tree/compare.ts';
import { type ObjectReference, objectsOf } from '../tree/references.ts';
import type { DirectoryNode, Entry, Tree } from '../tree/tree.ts';
import type { Deployment } from './deployment-files.ts';
import { stackTree } from './stack-tree.ts';

export interface DeploymentDifference {
  /** In the order of a walk: parents before children, names in byte order. */
  readonly differences: readonly Difference[];
  readonly totals: DifferenceTotals;
}

/** Numbers of names; bytes are those of regular files, each file counted once. */
interface DifferenceTotals {
  readonly added: Amount;
  readonly removed: Amount;
  /** Bytes of the files as they are after the change. */
  readonly changed: Amount;
  /** Objects that only the later deployment needs. */
  readonly newObjects: Amount;
  /** Objects that only the earlier one needs. */
  readonly oldObjects: Amount;
}

export interface Amount {
  readonly count: number;
  readonly bytes: number;
}

/**
 * Compares what two deployments show.
 * @param from undefined: compares with nothing, so that everything is added.
 * @throws OsupdError `not-found`, `damaged-store`, `damaged-image` for an image; `invalid-tree` for images that do not stack.
 */
export async function compareDeployments(
  pool: Pool,
  from: Deployment | undefined,
  to: Deployment,
): Promise<DeploymentDifference> {
  const after = await stackTree(pool, to.images);
  const before = from === undefined ? withoutChildren(after) : await stackTree(pool, from.images);
  const differences = compareTrees(before, after);
  const of = (kind: Difference['kind']) =>
    amountOf(
      differences.filter((each) => each.kind === kind).map((each) => ('after' in each ? each.after : each.before)),
    );
  return {
    differences,
    totals: {
      added: of('added'),
      removed: of('removed'),
      changed: of('changed'),
      newObjects: objectsBeyond(after, before),
      oldObjects: objectsBeyond(before, after),
    },
  };
}

function withoutChildren({ root }: Tree): Tree {
  return { root: { ...root, children: new Map() } satisfies DirectoryNode };
}

function amountOf(entries: readonly Entry[]): Amount {
  return {
    count: entries.length,
    bytes: entries.reduce((sum, entry) => sum + (entry.type === 'file' ? entry.size : 0), 0),
  };
}

function objectsBeyond(tree: Tree, other: Tree): Amount {
  const known = new Set(objectsOf(other).map(({ digest }) => digest));
  const objects = objectsOf(tree).filter(({ digest }: ObjectReference) => !known.has(digest));
  return { count: objects.length, bytes: objects.reduce((sum, { size }) => sum + size, 0) };
}
