/** What differs between two trees. */
import { type ByteString, compareBytes } from '../core/bytes.ts';
import { compareTimes, type Entry, type FileNode, nodeOf, type Tree, type TreeNode, walk } from './tree.ts';

type ChangedField =
  | 'type'
  | 'content'
  | 'size'
  | 'target'
  | 'device'
  | 'mode'
  | 'owner'
  | 'mtime'
  | 'xattrs'
  /** Names that were one file are several, or the other way round. */
  | 'links';

export type Difference =
  | { readonly kind: 'added'; readonly path: ByteString; readonly after: Entry }
  | { readonly kind: 'removed'; readonly path: ByteString; readonly before: Entry }
  | {
      readonly kind: 'changed';
      readonly path: ByteString;
      readonly before: Entry;
      readonly after: Entry;
      readonly fields: readonly ChangedField[];
    };

/**
 * All differences in the order of {@link walk}: parents before children, names in byte order. Everything below a directory
 * that was added or removed is listed too. Takes time in proportion to the trees.
 */
export function compareTrees(before: Tree, after: Tree): Difference[] {
  const differences: Difference[] = [];
  const names = [primaryNames(before), primaryNames(after)] as const;
  const left = walk(before);
  const right = walk(after);
  let a = left.next();
  let b = right.next();
  while (!(a.done && b.done)) {
    const order = a.done ? 1 : b.done ? -1 : comparePaths(a.value.path, b.value.path);
    if (order < 0 && !a.done) {
      differences.push({ kind: 'removed', path: a.value.path, before: a.value.entry });
      a = left.next();
    } else if (order > 0 && !b.done) {
      differences.push({ kind: 'added', path: b.value.path, after: b.value.entry });
      b = right.next();
    } else if (!a.done && !b.done) {
      const [one, other] = [a.value.entry, b.value.entry];
      const fields = changedFields(nodeOf(one), nodeOf(other));
      if (!fields.includes('type') && names[0].get(nodeOf(one)) !== names[1].get(nodeOf(other))) fields.push('links');
      if (fields.length > 0)
        differences.push({ kind: 'changed', path: a.value.path, before: one, after: other, fields });
      a = left.next();
      b = right.next();
    }
  }
  return differences;
}

/** The order of {@link walk}: `/` comes before every other byte of a name. */
function comparePaths(a: ByteString, b: ByteString): number {
  return compareBytes(a.replaceAll('/', '\0'), b.replaceAll('/', '\0'));
}

/** The first name of each node that is no directory. */
function primaryNames(tree: Tree): Map<TreeNode, ByteString> {
  const names = new Map<TreeNode, ByteString>();
  for (const { path, entry } of walk(tree)) {
    const node = nodeOf(entry);
    if (node.type !== 'directory' && !names.has(node)) names.set(node, path);
  }
  return names;
}

function changedFields(a: TreeNode, b: TreeNode): ChangedField[] {
  const fields: ChangedField[] = [];
  if (a.type !== b.type) fields.push('type');
  else if (a.type === 'file' && b.type === 'file') {
    if (a.size !== b.size) fields.push('size');
    if (a.size !== b.size || !sameContent(a, b)) fields.push('content');
  } else if (a.type === 'symlink' && b.type === 'symlink') {
    if (a.target !== b.target) fields.push('target');
  } else if ('rdev' in a && 'rdev' in b && a.rdev !== b.rdev) fields.push('device');
  if (a.mode !== b.mode) fields.push('mode');
  if (a.uid !== b.uid || a.gid !== b.gid) fields.push('owner');
  if (compareTimes(a.mtime, b.mtime) !== 0) fields.push('mtime');
  if (!sameXattrs(a.xattrs, b.xattrs)) fields.push('xattrs');
  return fields;
}

/** Contents that are kept in different ways count as different: what a digest names cannot be seen here. */
function sameContent(a: FileNode, b: FileNode): boolean {
  if (a.content !== undefined && b.content !== undefined) return Buffer.compare(a.content, b.content) === 0;
  if (a.content !== undefined || b.content !== undefined) return false;
  if (a.digest !== undefined || b.digest !== undefined) return a.digest === b.digest;
  return a.payload === b.payload && a.source === b.source;
}

function sameXattrs(a: ReadonlyMap<ByteString, Uint8Array>, b: ReadonlyMap<ByteString, Uint8Array>): boolean {
  if (a.size !== b.size) return false;
  for (const [name, value] of a) {
    const other = b.get(name);
    if (other === undefined || Buffer.compare(value, other) !== 0) return false;
  }
  return true;
}
