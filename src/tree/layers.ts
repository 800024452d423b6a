/**
 * Layers on a base. A layer is a tree that says besides what it adds what it takes away, in any of the ways that archives
 * and upper directories do:
 *
 * | says | of | in |
 * | --- | --- | --- |
 * | file `.wh.NAME` | NAME beside it is gone | OCI image-spec, "Whiteouts" |
 * | file `.wh..wh..opq` | nothing of its directory below shows | OCI image-spec, "Opaque Whiteout" |
 * | character device 0:0 called NAME | NAME is gone | overlayfs |
 * | empty file called NAME with the xattr `trusted.overlay.whiteout` | NAME is gone | overlayfs |
 * | xattr `trusted.overlay.opaque` = `y` of a directory | nothing of it below shows | overlayfs |
 *
 * overlayfs keeps its xattrs under `user.overlay.` too (mount option userxattr). What a layer takes away is only ever what is
 * below it: its own entries stay, wherever in the archive they stood.
 */
import { type ByteString, fromBytes, fromText, toText } from '../core/bytes.ts';
import { OsupdError } from '../core/errors.ts';
import { settleLinks } from './links.ts';
import { type DirectoryNode, type Entry, type HardLink, nodeOf, type Tree, type TreeNode } from './tree.ts';

const WHITEOUT = '.wh.';
const OPAQUE = '.wh..wh..opq';
/** Other names that start like this are reserved. */
const RESERVED = '.wh..wh.';

/** What overlayfs notes for itself; an `overlay.` more is an escaped attribute of the tree. */
const OVERLAY_XATTR = /^(?:trusted|user)\.overlay\.(?!overlay\.)(.*)$/s;

type Leaf = HardLink['target'];

/** One directory of the result, made of a directory of the base, of the layer, or of both. */
interface Merge {
  /** The layer's name and the path in it, for messages. */
  readonly path: ByteString;
  /** Takes the directory out of its parent; the root has none. */
  readonly remove?: () => void;
  readonly base: DirectoryNode | undefined;
  readonly layer: DirectoryNode | undefined;
  readonly result: DirectoryNode;
}

/**
 * The tree that shows `layer` over `base`; both stay as they are. Whiteouts take effect and are gone. A directory in both
 * has the metadata of the layer, or of the base where the layer only implies it. A file whose name was replaced or removed
 * stays under its other names. `name` is the layer's, for messages.
 * @throws OsupdError `invalid-tree` when a layer names things below what is not a directory in the base, has whiteouts that
 * mean nothing, or was made with the overlayfs features `metacopy` or `redirect_dir` and so is not complete.
 */
export function applyLayer(base: Tree, layer: Tree, name = 'layer'): Tree {
  const copies = new Map<Leaf, Leaf>();
  const root = newDirectory(name, base.root, layer.root);
  const merges: Merge[] = [{ path: `${fromText(name)}: `, base: base.root, layer: layer.root, result: root }];
  // The list grows while it is gone through: parents come before what is in them.
  for (const merge of merges) for (const inner of mergeChildren(merge, copies)) merges.push(inner);
  for (const merge of merges.toReversed()) dropIfHollow(merge);
  const tree = { root };
  settleLinks(tree);
  return tree;
}

/** Fills a directory of the result; gives the directories in it that are to be filled. */
function mergeChildren({ path, base, layer, result }: Merge, copies: Map<Leaf, Leaf>): Merge[] {
  const directories: Merge[] = [];
  const descend = (name: ByteString, lower: DirectoryNode | undefined, upper: DirectoryNode | undefined) => {
    const childPath = `${path}/${name}`;
    const child = newDirectory(childPath, lower, upper);
    result.children.set(name, child);
    const remove = () => void result.children.delete(name);
    directories.push({ path: childPath, remove, base: lower, layer: upper, result: child });
  };
  const { opaque, gone } = takenAway(path, layer);
  const shown = new Map([...(opaque ? [] : (base?.children ?? []))].filter(([name]) => !gone.has(name)));
  for (const [name, entry] of shown) {
    if (layer?.children.has(name)) continue;
    if (entry.type === 'directory') descend(name, entry, undefined);
    else result.children.set(name, copyLeaf(entry, copies));
  }
  for (const [name, entry] of layer?.children ?? []) {
    if (name.startsWith(WHITEOUT) || isWhiteout(entry)) continue;
    const below = shown.get(name);
    if (entry.type === 'directory') {
      if (entry.implied && below !== undefined && below.type !== 'directory')
        throw unfit(`${path}/${name}`, `the layer has entries below it, but in the base it is a ${nodeOf(below).type}`);
      descend(name, below?.type === 'directory' ? below : undefined, entry);
    } else {
      const copy = copyLeaf(entry, copies);
      if (copy.type !== 'hardlink') dropOverlayXattrs(`${path}/${name}`, copy);
      result.children.set(name, copy);
    }
  }
  return directories;
}

/** A directory that a layer implies only by whiteouts in it is no directory of the result. */
function dropIfHollow({ base, layer, result, remove }: Merge): void {
  if (base === undefined && layer?.implied && result.children.size === 0) remove?.();
}

/** What a directory of a layer hides of the base. */
function takenAway(path: ByteString, layer: DirectoryNode | undefined): { opaque: boolean; gone: Set<ByteString> } {
  const gone = new Set<ByteString>();
  if (layer === undefined) return { opaque: false, gone };
  for (const [name, entry] of layer.children) {
    if (isWhiteout(entry)) gone.add(name);
    else if (name.startsWith(WHITEOUT) && name !== OPAQUE) {
      const target = name.slice(WHITEOUT.length);
      if (name.startsWith(RESERVED) || ['', '.', '..'].includes(target) || entry.type === 'directory')
        throw unfit(`${path}/${name}`, 'this is no whiteout, but names that begin with .wh. are kept for them');
      gone.add(target);
    }
  }
  const opaque = layer.opaque === true || layer.children.has(OPAQUE) || overlayXattr(layer, 'opaque') === 'y';
  return { opaque, gone };
}

function isWhiteout(entry: Entry): boolean {
  const node = nodeOf(entry);
  if (node.type === 'character') return node.rdev === 0;
  return node.type === 'file' && node.size === 0 && overlayXattr(node, 'whiteout') !== undefined;
}

function overlayXattr(node: TreeNode, name: string): ByteString | undefined {
  const value = node.xattrs.get(`trusted.overlay.${name}`) ?? node.xattrs.get(`user.overlay.${name}`);
  return value && fromBytes(value);
}

/** Without children; what only layers have is gone from it. */
function newDirectory(path: ByteString, base: DirectoryNode | undefined, layer: DirectoryNode | undefined) {
  const fromBase = layer === undefined || (layer.implied && base !== undefined);
  const { mode, uid, gid, nlink, mtime, xattrs } = (fromBase ? base : layer) as DirectoryNode;
  const node: DirectoryNode = {
    type: 'directory',
    mode,
    uid,
    gid,
    nlink,
    mtime,
    xattrs: new Map(xattrs),
    children: new Map(),
  };
  if (!fromBase) dropOverlayXattrs(path, node);
  return node;
}

function copyLeaf(entry: Exclude<Entry, DirectoryNode>, copies: Map<Leaf, Leaf>): Exclude<Entry, DirectoryNode> {
  const node = nodeOf(entry) as Leaf;
  let copy = copies.get(node);
  if (copy === undefined) {
    copy = { ...node, xattrs: new Map(node.xattrs) };
    copies.set(node, copy);
  }
  return entry.type === 'hardlink' ? { type: 'hardlink', target: copy } : copy;
}

function dropOverlayXattrs(path: ByteString, node: TreeNode): void {
  for (const name of node.xattrs.keys()) {
    const own = OVERLAY_XATTR.exec(name)?.[1];
    if (own === undefined) continue;
    if (own === 'metacopy' || own === 'redirect')
      throw unfit(path, `the layer was written by an overlay with ${own}, so what it shows is not in it alone`);
    node.xattrs.delete(name);
  }
}

function unfit(path: ByteString, what: string): OsupdError {
  return new OsupdError('invalid-tree', what, { where: toText(path) });
}
