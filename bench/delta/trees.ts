/** The pairs of trees that are measured, made when they are not there. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Pair, treeIn } from './peer.ts';

/** Security updates of a system; of one of its packages; of the services on it. */
export const STANDARD_PAIRS: readonly string[] = ['os-v1:os-v2', 'os-v1:os-v1b', 'app-v1:app-v2'];

/** @throws Error when a pair is not written as OLD:NEW. */
export function parsePair(name: string, directory: string): Pair {
  const match = /^([\w.-]+):([\w.-]+)$/.exec(name);
  if (match === null) throw new Error(`"${name}" is no pair of trees: write OLD:NEW, for example ${STANDARD_PAIRS[0]}`);
  return { name, old: treeIn(directory, match[1]!), next: treeIn(directory, match[2]!) };
}

/** Builds the trees of the pairs that are not in their directory yet. @throws Error when the script fails. */
export function buildTrees(pairs: readonly Pair[], directory: string): void {
  const trees = pairs.flatMap(({ old, next }) => [old, next]);
  const absent = trees.filter((tree) => !(existsSync(tree.tar) && existsSync(tree.directory)));
  if (absent.length === 0) return;
  mkdirSync(directory, { recursive: true });
  const names = [...new Set(absent.map(({ name }) => name))];
  execFileSync(join(import.meta.dirname, '../make-trees.sh'), [directory, ...names], { stdio: 'inherit' });
}
