/**
 * Writes a tree as composefs dump text, one line an entry (docs/formats/dump.md). By default the text is what `composefs-info dump` prints
 * of the tree's image.
 */
import { type ByteString, fromBytes } from '../core/bytes.ts';
import { escapeField, escapeOptional, escapeXattr } from './dump-escape.ts';
import { directorySize } from './stored-names.ts';
import { type DirectoryNode, nodeOf, type Tree, type TreeNode, TYPE_BITS, walk } from './tree.ts';

export interface DumpOptions {
  /**
   * Say all that decides the tree's image, so that the dump gives the same image again. By default, as in composefs' own dumps, the
   * first name of a file with several is taken for its primary one, sizes of devices are 0, and marks of overlayfs whiteouts are left out.
   */
  readonly exact?: boolean;
}

/** The lines of a tree's dump, each with its newline; all characters are ASCII. */
export function* formatDump(tree: Tree, options: DumpOptions = {}): Generator<string> {
  const exact = options.exact === true;
  const pathOf = pathsOfLinked(tree, exact);
  for (const { path, entry } of walk(tree)) {
    const node = nodeOf(entry);
    const primary = pathOf.get(node) ?? path;
    yield formatLine(path, exact ? node : asComposefsReads(node), primary === path ? undefined : primary, exact);
  }
}

/** For each node with several names: the path that stands for it in the dump. */
function pathsOfLinked(tree: Tree, exact: boolean): Map<TreeNode, ByteString> {
  const linked = new Set<TreeNode>();
  for (const { entry } of walk(tree)) if (entry.type === 'hardlink') linked.add(entry.target);
  const pathOf = new Map<TreeNode, ByteString>();
  if (linked.size === 0) return pathOf;
  for (const { path, entry } of walk(tree)) {
    const node = nodeOf(entry);
    if (linked.has(node) && (exact ? entry.type !== 'hardlink' : !pathOf.has(node))) pathOf.set(node, path);
  }
  return pathOf;
}

/** xattrs that composefs takes for marks of its own when it reads an image, also where the tree had them before. */
const MARKS = ['trusted.overlay.whiteouts', 'user.overlay.whiteout', 'user.overlay.whiteouts'];
const WHITEOUT = 'trusted.overlay.whiteout';

function asComposefsReads(node: TreeNode): TreeNode {
  const isWhiteout = node.type === 'file' && node.size === 0 && node.xattrs.has(WHITEOUT);
  if (!isWhiteout && !MARKS.some((name) => node.xattrs.has(name))) return node;
  const xattrs = new Map(node.xattrs);
  for (const name of MARKS) xattrs.delete(name);
  if (!isWhiteout) return { ...node, xattrs };
  xattrs.delete(WHITEOUT);
  const { mode, uid, gid, nlink, mtime } = node;
  return { type: 'character', mode, uid, gid, nlink, mtime, xattrs, rdev: 0 };
}

function formatLine(path: ByteString, node: TreeNode, primary: ByteString | undefined, exact: boolean): string {
  const mode = (TYPE_BITS[node.type] | node.mode).toString(8);
  const isObject = node.type === 'file' && node.size > 0 && node.content === undefined;
  const payload = node.type === 'symlink' ? node.target : isObject ? node.payload : undefined;
  const content = node.type === 'file' && node.size > 0 && node.content ? fromBytes(node.content) : undefined;
  const digest = (isObject && node.digest) || '-';
  const rdev = node.type === 'character' || node.type === 'block' ? node.rdev : 0;
  const nlink = node.type === 'directory' ? 2 + countDirectories(node) : node.nlink;
  const { seconds, nanoseconds } = node.mtime;
  let line = `${escapeField(path)} ${sizeOf(node, path === '/', exact)} ${primary === undefined ? '' : '@'}${mode} ${nlink} ${node.uid} ${node.gid} ${rdev} ${seconds}.${nanoseconds} ${escapeOptional(primary ?? payload)} ${escapeOptional(content)} ${digest}`;
  for (const [name, value] of node.xattrs) line += ` ${escapeXattr(name)}=${escapeXattr(fromBytes(value))}`;
  return `${line}\n`;
}

function sizeOf(node: TreeNode, isRoot: boolean, exact: boolean): number {
  switch (node.type) {
    case 'directory':
      return directorySize(node, isRoot);
    case 'file':
      return node.size;
    case 'symlink':
      return node.target.length;
    default:
      return exact ? (node.size ?? 0) : 0;
  }
}

function countDirectories(directory: DirectoryNode): number {
  let count = 0;
  for (const child of directory.children.values()) if (child.type === 'directory') count++;
  return count;
}
