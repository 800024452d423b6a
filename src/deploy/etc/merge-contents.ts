/** The content of one file of /etc that the local side and the new default have both, and not the same. */
import { type ByteString, fromBytes, toBytes } from '../../core/bytes.ts';
import { MAX_MERGED_TEXT_BYTES } from '../../core/limits.ts';
import { compareTimes, type FileNode, type TreeNode } from '../../tree/tree.ts';
import { sameContent } from './compare-nodes.ts';
import { mergeAccounts } from './merge-accounts.ts';
import { mergeLines } from './merge-lines.ts';
import { type AccountFile, fileClass } from './special-files.ts';

/** Reads a file of any of the sides, of at most MAX_MERGED_TEXT_BYTES. */
export type ReadContent = (file: FileNode) => Promise<Uint8Array>;

interface MergedContents {
  /** The node with the content: one of the sides, or a new one. Its metadata mean nothing. */
  readonly node: TreeNode;
  readonly conflicts: readonly string[];
  readonly sameIds: readonly string[];
}

/** @returns undefined where the contents cannot be merged. */
export async function mergeContents(
  sides: { path: ByteString; old: TreeNode | undefined; local: TreeNode; next: TreeNode },
  read: ReadContent,
): Promise<MergedContents | undefined> {
  const { path, old, local, next } = sides;
  const one = (node: TreeNode) => ({ node, conflicts: [], sameIds: [] });
  if (sameContent(local, next) || (old !== undefined && sameContent(old, next))) return one(local);
  if (old !== undefined && sameContent(old, local)) return one(next);
  if (local.type !== 'file' || next.type !== 'file' || (old !== undefined && old.type !== 'file')) return undefined;
  const kind = fileClass(path);
  const isMergeable = kind === 'accounts' || (kind === 'text' && old !== undefined);
  if (!isMergeable || [old, local, next].some((file) => file !== undefined && !isReadable(file))) return undefined;
  const [before, mine, theirs] = [
    old === undefined ? '' : fromBytes(await read(old)),
    fromBytes(await read(local)),
    fromBytes(await read(next)),
  ];
  // Whatever has a NUL in it is not made of lines.
  if ([before, mine, theirs].some((text) => text.includes('\0'))) return undefined;
  const merged =
    kind === 'accounts'
      ? mergeAccounts(path as AccountFile, before, mine, theirs)
      : { text: mergeLines(before, mine, theirs), conflicts: [], sameIds: [] };
  if (merged.text === undefined) return undefined;
  const { conflicts, sameIds } = merged;
  if (merged.text === mine) return { node: local, conflicts, sameIds };
  if (merged.text === theirs) return { node: next, conflicts, sameIds };
  return { node: withContent(local, next, toBytes(merged.text)), conflicts, sameIds };
}

/** Whether a file is small enough to be merged, and its content can be had. */
export function isReadable(file: FileNode): boolean {
  const isNamed = file.size === 0 || [file.content, file.source, file.digest].some((each) => each !== undefined);
  return isNamed && file.size <= MAX_MERGED_TEXT_BYTES;
}

/** A merged file is as old as the younger of the two: done again, the merge gives the same. */
function withContent(local: FileNode, next: FileNode, content: Uint8Array): FileNode {
  const { type, mode, uid, gid, xattrs } = local;
  const mtime = compareTimes(local.mtime, next.mtime) < 0 ? next.mtime : local.mtime;
  return { type, mode, uid, gid, nlink: 1, mtime, xattrs, size: content.length, content };
}
