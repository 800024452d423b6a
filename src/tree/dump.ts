/**
 * Writes a tree as composefs dump text, one line an entry (docs/formats/dump.md). The text is what `composefs-info dump`
 * prints for the tree's image, so two trees with the same dump give the same image unless the primary names of hard links differ.
 */
import type { ByteString } from '../core/bytes.ts';
import { fromBytes } from '../core/bytes.ts';
import { escapeField, escapeOptional, escapeXattr } from './dump-escape.ts';
import { directorySize } from './stored-names.ts';
import { type DirectoryNode, nodeOf, type Tree, type TreeNode, TYPE_BITS, walk } from './tree.ts';

export interface DumpOptions {
  /**
   * Which name of a file with several gets the full line: by default the first in the dump, as composefs does. With `true` it is the
   * tree's primary name, so that the dump gives the same image again; other names may then come before it.
   */
  readonly keepPrimaries?: boolean;
}

/** The lines of a tree's dump, each with its newline. Characters are bytes (all ASCII). */
export function* formatDump(tree: Tree, options: DumpOptions = {}): Generator<string> {
  const pathOf = linkedNames(tree, options.keepPrimaries === true);
  for (const { path, entry } of walk(tree)) {
    const node = nodeOf(entry);
    const primary = node.type === 'directory' ? path : (pathOf.get(node) ?? path);
    yield formatLine(path, node, primary === path ? undefined : primary, path === '/');
  }
}

/** For each node that some hard link points to: the path that stands for it in the dump. */
function linkedNames(tree: Tree, keepPrimaries: boolean): Map<TreeNode, ByteString> {
  const linked = new Set<TreeNode>();
  for (const { entry } of walk(tree)) if (entry.type === 'hardlink') linked.add(entry.target);
  const pathOf = new Map<TreeNode, ByteString>();
  if (linked.size === 0) return pathOf;
  for (const { path, entry } of walk(tree)) {
    if (keepPrimaries && entry.type === 'hardlink') continue;
    const node = nodeOf(entry);
    if (linked.has(node) && !pathOf.has(node)) pathOf.set(node, path);
  }
  return pathOf;
}

function formatLine(path: ByteString, node: TreeNode, primary: ByteString | undefined, isRoot: boolean): string {
  const mode = (TYPE_BITS[node.type] | node.mode).toString(8);
  const isObject = node.type === 'file' && node.size > 0 && node.content === undefined;
  const payload = node.type === 'symlink' ? node.target : isObject ? node.payload : undefined;
  const content = node.type === 'file' && node.size > 0 && node.content ? fromBytes(node.content) : undefined;
  const digest = (isObject && node.digest) || '-';
  const rdev = node.type === 'character' || node.type === 'block' ? node.rdev : 0;
  const nlink = node.type === 'directory' ? 2 + countDirectories(node) : node.nlink;
  const { seconds, nanoseconds } = node.mtime;
  let line = `${escapeField(path)} ${sizeOf(node, isRoot)} ${primary === undefined ? '' : '@'}${mode} ${nlink} ${node.uid} ${node.gid} ${rdev} ${seconds}.${nanoseconds} ${escapeOptional(primary ?? payload)} ${escapeOptional(content)} ${digest}`;
  for (const [name, value] of node.xattrs) line += ` ${escapeXattr(name)}=${escapeXattr(fromBytes(value))}`;
  return `${line}\n`;
}

function sizeOf(node: TreeNode, isRoot: boolean): number {
  switch (node.type) {
    case 'directory':
      return directorySize(node, isRoot);
    case 'file':
      return node.size;
    case 'symlink':
      return node.target.length;
    default:
      return 0;
  }
}

function countDirectories(directory: DirectoryNode): number {
  let count = 0;
  for (const child of directory.children.values()) if (child.type === 'directory') count++;
  return count;
}
