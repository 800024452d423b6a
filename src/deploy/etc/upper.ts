/**
 * The upper directory of an overlay over /etc as a tree: what the kernel keeps there of local changes (Linux documentation,
 * filesystems/overlayfs). The overlay is mounted with `metacopy=off,redirect_dir=off,index=off`: every file in it is whole.
 */
import { closeSync, constants, existsSync, openSync } from 'node:fs';
import { type ByteString, fromBytes, toBytes, toText } from '../../core/bytes.ts';
import { OsupdError, toOsupdError } from '../../core/errors.ts';
import { hashDescriptor } from '../../objects/hash-files.ts';
import { readDirectory } from '../../tree/read-directory.ts';
import { type DirectoryNode, EPOCH, type FileNode, nodeOf, type TreeNode, walk } from '../../tree/tree.ts';
import { asDirectory } from './compare-nodes.ts';

const OPAQUE = 'trusted.overlay.opaque';
/** Attributes of files that cannot be changed (chattr +i, +a): part of what the file is. */
const PROTECTED = 'trusted.overlay.protattr';
/** What overlayfs notes for itself; one more `overlay.` is an escaped attribute of the tree. */
const OVERLAY_XATTR = /^trusted\.overlay\.(?!overlay\.)/;

const encoder = new TextEncoder();

/**
 * Reads an upper directory. Files have `source` and `digest`; marks that only mean something over the lower directory they were made
 * over are gone. One that is not there is empty.
 * @throws OsupdError `changed-while-read`; `invalid-tree` where the overlay was mounted with other options.
 */
export async function readUpper(directory: string): Promise<DirectoryNode | undefined> {
  if (!existsSync(directory)) return undefined;
  const tree = await readDirectory(directory, { inlineLimit: 0 });
  for (const { path, entry } of walk(tree)) {
    if (entry.type === 'hardlink') continue;
    dropOverlayXattrs(entry, path);
    if (entry.type === 'file' && entry.source !== undefined) hashFile(entry, entry.source);
  }
  return tree.root;
}

function hashFile(file: FileNode, source: ByteString): void {
  let found: ReturnType<typeof hashDescriptor>;
  try {
    const fd = openSync(toBytes(source), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      found = hashDescriptor(fd);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    const { code, message } = toOsupdError(error);
    throw new OsupdError(code === 'not-found' ? 'changed-while-read' : code, message, { where: toText(source) });
  }
  if (found.size !== file.size)
    throw new OsupdError('changed-while-read', 'the file was written to while it was read', { where: toText(source) });
  file.digest = found.digest;
}

function dropOverlayXattrs(node: TreeNode, path: ByteString): void {
  const opaque = isOpaque(node);
  for (const name of [...node.xattrs.keys()].filter((each) => OVERLAY_XATTR.test(each) && each !== PROTECTED)) {
    if (name.endsWith('.metacopy') || name.endsWith('.redirect'))
      throw new OsupdError('invalid-tree', `/etc was mounted as an overlay with ${name.replace(/^.*\./, '')}`, {
        where: `/etc${toText(path)}`,
        remedy: 'mount it with metacopy=off,redirect_dir=off, and copy this file or directory away and back',
      });
    node.xattrs.delete(name);
  }
  if (opaque) setOpaque(node);
}

/** A character device 0:0: the name was removed. */
export function isWhiteout(node: TreeNode): boolean {
  return node.type === 'character' && node.rdev === 0;
}

export function newWhiteout(): TreeNode {
  return { type: 'character', rdev: 0, mode: 0, uid: 0, gid: 0, nlink: 1, mtime: EPOCH, xattrs: new Map() };
}

/** Nothing of the directory below shows through. */
export function isOpaque(node: TreeNode): boolean {
  const value = node.xattrs.get(OPAQUE);
  return node.type === 'directory' && value !== undefined && fromBytes(value) === 'y';
}

export function setOpaque(node: TreeNode): void {
  node.xattrs.set(OPAQUE, encoder.encode('y'));
}

/** A copy of a directory of an upper without mark, and without what is in it. */
export function emptyCopy(directory: DirectoryNode): DirectoryNode {
  const xattrs = new Map(directory.xattrs);
  xattrs.delete(OPAQUE);
  return { ...directory, xattrs, children: new Map() };
}

/** A directory of an upper as it shows over nothing: without whiteouts and marks. */
export function withoutMarks(directory: DirectoryNode): DirectoryNode {
  const copy = emptyCopy(directory);
  for (const [name, entry] of directory.children) {
    const node = nodeOf(entry);
    if (isWhiteout(node)) continue;
    copy.children.set(name, node.type === 'directory' ? withoutMarks(node) : entry);
  }
  return copy;
}

/** What shows when an upper is mounted over a default. */
export function shownTree(lower: TreeNode | undefined, upper: DirectoryNode): DirectoryNode {
  const below = isOpaque(upper) ? undefined : asDirectory(lower);
  const shown = emptyCopy(upper);
  for (const [name, entry] of below?.children ?? []) if (!upper.children.has(name)) shown.children.set(name, entry);
  for (const [name, entry] of upper.children) {
    const node = nodeOf(entry);
    if (isWhiteout(node)) continue;
    const lowerNode = below?.children.get(name);
    const shownNode = node.type === 'directory' ? shownTree(lowerNode && nodeOf(lowerNode), node) : entry;
    shown.children.set(name, shownNode);
  }
  return shown;
}
