/**
 * Turns a tree into the inodes of an image, with the names and xattrs that composefs adds for overlayfs. The tree itself is not
 * changed.
 */
import { type ByteString, compareBytes, fromBytes } from '../core/bytes.ts';
import { digestToBytes } from '../core/digest.ts';
import type { FileNode, Time, Tree, TreeNode } from '../tree/tree.ts';
import { type FormatVersion, METACOPY_HEADER, OVERLAY } from './format.ts';
import { isWhiteout, type PlacedInode, type PlacedLink, placeInodes } from './place-inodes.ts';
import { type StoredXattr, XattrPool } from './xattr-pool.ts';

export interface PreparedImage {
  readonly version: FormatVersion;
  /** In breadth-first order, the root first. */
  readonly inodes: readonly PlacedInode[];
  /** The xattrs of each inode, in order of their names. */
  readonly xattrs: readonly (readonly StoredXattr[])[];
  readonly sharedXattrs: readonly StoredXattr[];
  readonly hasAcl: boolean;
  /** The smallest mtime. */
  readonly buildTime: Time;
  /** Bytes that paths, xattrs and contents come to when each entry is written out. */
  readonly expansion: number;
}

export interface VersionRange {
  readonly minVersion: FormatVersion;
  readonly maxVersion: FormatVersion;
}

/** @throws OsupdError `invalid-tree` with facts `rule` and `path`; `limit-exceeded` for too many or too deep nodes. */
export function prepareImage(tree: Tree, versions: VersionRange): PreparedImage {
  const { inodes, links, hasWhiteout, buildTime } = placeInodes(tree);
  const version = hasWhiteout ? versions.maxVersion : versions.minVersion;
  const pool = new XattrPool();
  const xattrs = inodes.map((inode, number) => storedXattrs(inode, number === 0, version, pool));
  return {
    version,
    inodes,
    xattrs,
    sharedXattrs: pool.share(),
    hasAcl: pool.has('system.posix_acl_access') || pool.has('system.posix_acl_default'),
    buildTime,
    expansion: expansionOf(inodes, links, xattrs),
  };
}

function expansionOf(
  inodes: readonly PlacedInode[],
  links: readonly PlacedLink[],
  xattrs: readonly (readonly StoredXattr[])[],
): number {
  const written = (number: number) => writtenBytes((inodes[number] as PlacedInode).node, xattrs[number] ?? []);
  let expansion = 0;
  for (const [number, { pathBytes }] of inodes.entries()) expansion += pathBytes + written(number);
  for (const { directory, slot, name } of links)
    expansion += directory.pathBytes + 1 + name.length + written(directory.children[slot] as number);
  return expansion;
}

/** Bytes of an inode's xattrs and content. */
function writtenBytes(node: TreeNode, xattrs: readonly StoredXattr[]): number {
  let bytes = node.type === 'symlink' ? node.target.length : node.type === 'file' ? (node.content?.length ?? 0) : 0;
  for (const { name, value } of xattrs) bytes += name.text.length + value.length;
  return bytes;
}

/** The tree's own xattrs, escaped where overlayfs would read them, and composefs' marks; in order of their names. */
function storedXattrs(inode: PlacedInode, isRoot: boolean, version: FormatVersion, pool: XattrPool): StoredXattr[] {
  const { node, holdsWhiteouts } = inode;
  const isMarked = isRoot || holdsWhiteouts || (isWhiteout(node) && inode.type === 'file');
  const stored = isMarked ? markedXattrs(inode, isRoot, version, pool) : ownXattrs(node, pool);
  if (node.type === 'file' && node.size > 0 && node.content === undefined) addObject(node, stored, pool);
  return stored.length < 2 ? stored : stored.sort((a, b) => compareBytes(a.name.text, b.name.text));
}

function escapeName(name: ByteString): ByteString {
  return name.startsWith(OVERLAY.prefix) ? OVERLAY.escapedPrefix + name.slice(OVERLAY.prefix.length) : name;
}

function ownXattrs(node: TreeNode, pool: XattrPool): StoredXattr[] {
  const stored: StoredXattr[] = [];
  for (const [name, value] of node.xattrs) stored.push(pool.use(escapeName(name), fromBytes(value)));
  return stored;
}

/** A mark takes the place of an xattr of its name. */
function markedXattrs(
  { node, type, holdsWhiteouts }: PlacedInode,
  isRoot: boolean,
  version: FormatVersion,
  pool: XattrPool,
): StoredXattr[] {
  const all = new Map<ByteString, ByteString>();
  for (const [name, value] of node.xattrs) all.set(escapeName(name), fromBytes(value));
  if (isWhiteout(node) && type === 'file') for (const name of OVERLAY.whiteout) all.set(name, '');
  if (holdsWhiteouts) {
    for (const name of OVERLAY.whiteouts) all.set(name, '');
    if (version >= 1) for (const name of OVERLAY.opaqueWithWhiteouts) all.set(name, 'x');
  }
  if (isRoot) all.set(OVERLAY.opaque, 'y');
  return [...all].map(([name, value]) => pool.use(name, value));
}

const METACOPY_START = fromBytes(Uint8Array.from(METACOPY_HEADER));

/** Says where the content of a file is. The tree's own xattrs of these names are escaped, so none is replaced. */
function addObject({ digest, payload }: FileNode, stored: StoredXattr[], pool: XattrPool): void {
  stored.push(
    pool.useKey(OVERLAY.metacopy, digest ?? '', () =>
      digest === undefined ? '' : METACOPY_START + fromBytes(digestToBytes(digest)),
    ),
  );
  if (payload !== undefined && payload !== '') stored.push(pool.useKey(OVERLAY.redirect, payload, () => `/${payload}`));
}
