/**
 * Turns a tree into the inodes of an image: in breadth-first order, with the entries and xattrs that composefs adds for
 * overlayfs. The tree itself is not changed.
 */
import { type ByteString, compareBytes, toBytes, toText } from '../core/bytes.ts';
import { digestToBytes } from '../core/digest.ts';
import { OsupdError } from '../core/errors.ts';
import { MAX_TREE_DEPTH, MAX_TREE_NODES } from '../core/limits.ts';
import { storedNames } from '../tree/stored-names.ts';
import { compareTimes, type DirectoryNode, type FileNode, type Time, type Tree, type TreeNode } from '../tree/tree.ts';
import { type FormatVersion, METACOPY_HEADER, OVERLAY } from './format.ts';
import { brokenEntryRule, brokenNodeRule } from './rules.ts';
import { type StoredXattr, XattrPool } from './xattr-pool.ts';

export interface PreparedInode {
  /** The tree's node; for a hidden name of the root, a whiteout device made for it. */
  readonly node: TreeNode;
  /** Type in the image: a whiteout of the tree is an empty file there. */
  readonly type: TreeNode['type'];
  readonly nlink: number;
  readonly xattrs: readonly StoredXattr[];
  /** Of a directory: all names in byte order, and the inode of each by index. */
  readonly names: readonly ByteString[];
  readonly children: readonly number[];
}

export interface PreparedImage {
  readonly version: FormatVersion;
  /** In breadth-first order, the root first. */
  readonly inodes: readonly PreparedInode[];
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

const NO_NAMES: readonly ByteString[] = [];
const NO_CHILDREN: number[] = [];
const NO_VALUE = new Uint8Array(0);

/** @throws OsupdError `invalid-tree` with facts `rule` and `path`; `limit-exceeded` for too many or too deep nodes. */
export function prepareImage(tree: Tree, versions: VersionRange): PreparedImage {
  const { places, links, hasWhiteout, buildTime } = new Placer(tree).place();
  const version = hasWhiteout ? versions.maxVersion : versions.minVersion;
  const pool = new XattrPool();
  const inodes = places.map(({ node, names, children, holdsWhiteouts, hidden }, index): PreparedInode => {
    const whiteout = !hidden && isWhiteout(node);
    return {
      node,
      type: whiteout ? 'file' : node.type,
      nlink: node.type === 'directory' ? 2 + countDirectories(node) : node.nlink,
      xattrs: storedXattrs(node, { isRoot: index === 0, whiteout, holdsWhiteouts, version }, pool),
      names,
      children,
    };
  });
  let expansion = 0;
  for (let index = 0; index < inodes.length; index++)
    expansion += (places[index] as Place).pathBytes + writtenBytes(inodes[index] as PreparedInode);
  for (const { place, name, number } of links)
    expansion += place.pathBytes + 1 + name.length + writtenBytes(inodes[number] as PreparedInode);
  return {
    version,
    inodes,
    sharedXattrs: pool.share(),
    hasAcl: pool.has('system.posix_acl_access') || pool.has('system.posix_acl_default'),
    buildTime,
    expansion,
  };
}

/** Bytes of an inode's xattrs and content. */
function writtenBytes({ node, xattrs }: PreparedInode): number {
  let bytes = node.type === 'symlink' ? node.target.length : node.type === 'file' ? (node.content?.length ?? 0) : 0;
  for (const { name, value } of xattrs) bytes += name.length + value.length;
  return bytes;
}

function isWhiteout(node: TreeNode): boolean {
  return node.type === 'character' && node.rdev === 0;
}

function countDirectories(directory: DirectoryNode): number {
  let count = 0;
  for (const child of directory.children.values()) if (child.type === 'directory') count++;
  return count;
}

interface Place {
  readonly node: TreeNode;
  readonly parent: number;
  readonly name: ByteString;
  readonly depth: number;
  readonly pathBytes: number;
  readonly hidden: boolean;
  names: readonly ByteString[];
  children: number[];
  holdsWhiteouts: boolean;
}

/** A further name of an inode, whose number is known when all are placed. */
interface Link {
  readonly place: Place;
  readonly slot: number;
  readonly name: ByteString;
  readonly target: TreeNode;
  number: number;
}

/** Numbers the inodes breadth-first and checks every node on the way. */
class Placer {
  readonly #places: Place[] = [];
  readonly #numbers = new Map<TreeNode, number>();
  readonly #links: Link[] = [];
  readonly #root: DirectoryNode;
  #hasWhiteout = false;
  #buildTime: Time;

  constructor(tree: Tree) {
    this.#root = tree.root;
    this.#buildTime = tree.root.mtime;
  }

  place(): { places: readonly Place[]; links: readonly Link[]; hasWhiteout: boolean; buildTime: Time } {
    this.#add(this.#root, 0, '', false);
    for (let index = 0; index < this.#places.length; index++) {
      const place = this.#places[index] as Place;
      if (place.node.type === 'directory') this.#enter(place, place.node, index);
    }
    for (const link of this.#links) {
      const number = this.#numbers.get(link.target);
      const { node } = link.place;
      if (number === undefined)
        throw this.#refuse('hard link target is not in the tree', this.#numbers.get(node) ?? 0, link.name);
      link.number = number;
      link.place.children[link.slot] = number;
    }
    return { places: this.#places, links: this.#links, hasWhiteout: this.#hasWhiteout, buildTime: this.#buildTime };
  }

  #enter(place: Place, directory: DirectoryNode, index: number): void {
    const names = storedNames(directory, index === 0);
    const children: number[] = new Array(names.length);
    for (let slot = 0; slot < names.length; slot++) {
      const name = names[slot] as ByteString;
      const entry = directory.children.get(name);
      if (entry === undefined) {
        children[slot] = name === '.' ? index : name === '..' ? place.parent : this.#addHidden(name);
        continue;
      }
      const broken = brokenEntryRule(name, entry);
      if (broken !== undefined) throw this.#refuse(broken, index, name);
      if (entry.type === 'hardlink') {
        this.#links.push({ place, slot, name, target: entry.target, number: -1 });
        continue;
      }
      if (isWhiteout(entry)) this.#hasWhiteout = place.holdsWhiteouts = true;
      children[slot] = this.#add(entry, index, name, false);
    }
    place.names = names;
    place.children = children;
  }

  #addHidden(name: ByteString): number {
    const { uid, gid, mtime, xattrs } = this.#root;
    const label = xattrs.get('security.selinux');
    const device: TreeNode = {
      type: 'character',
      mode: 0o644,
      uid,
      gid,
      nlink: 1,
      mtime,
      xattrs: label === undefined ? new Map() : new Map([['security.selinux', label]]),
      rdev: 0,
    };
    return this.#add(device, 0, name, true);
  }

  #add(node: TreeNode, parent: number, name: ByteString, hidden: boolean): number {
    const index = this.#places.length;
    const above = this.#places[parent];
    const depth = above === undefined ? 0 : above.depth + 1;
    const broken = this.#numbers.has(node) ? 'one node in two places' : brokenNodeRule(node);
    if (broken !== undefined) throw this.#refuse(broken, parent, name);
    if (index >= MAX_TREE_NODES) throw this.#limit('MAX_TREE_NODES', `more than ${MAX_TREE_NODES} inodes`);
    if (node.type === 'directory' && depth > MAX_TREE_DEPTH)
      throw this.#limit('MAX_TREE_DEPTH', `more than ${MAX_TREE_DEPTH} levels of directories`);
    this.#numbers.set(node, index);
    this.#places.push({
      node,
      parent,
      name,
      depth,
      pathBytes: above === undefined ? 0 : above.pathBytes + 1 + name.length,
      hidden,
      names: NO_NAMES,
      children: NO_CHILDREN,
      holdsWhiteouts: false,
    });
    if (compareTimes(node.mtime, this.#buildTime) < 0) this.#buildTime = node.mtime;
    return index;
  }

  #pathOf(index: number, name: ByteString): ByteString {
    const names = name === '' ? [] : [name];
    for (let at = index; at !== 0; at = (this.#places[at] as Place).parent)
      names.push((this.#places[at] as Place).name);
    return `/${names.reverse().join('/')}`;
  }

  #refuse(rule: string, parent: number, name: ByteString): OsupdError {
    const path = toText(this.#pathOf(parent, name));
    return new OsupdError('invalid-tree', rule, { where: path, facts: { rule, path } });
  }

  #limit(limit: string, what: string): OsupdError {
    return new OsupdError('limit-exceeded', `the tree has ${what}`, { facts: { limit } });
  }
}

interface Marks {
  readonly isRoot: boolean;
  readonly whiteout: boolean;
  readonly holdsWhiteouts: boolean;
  readonly version: FormatVersion;
}

/** The xattrs of an inode in order of their names: the tree's own, escaped where overlayfs would read them, and composefs' marks. */
function storedXattrs(node: TreeNode, marks: Marks, pool: XattrPool): StoredXattr[] {
  const isMarked = marks.isRoot || marks.whiteout || marks.holdsWhiteouts;
  const stored = isMarked ? markedXattrs(node, marks, pool) : ownXattrs(node, pool);
  if (node.type === 'file' && node.size > 0 && node.content === undefined) addObject(node, stored, pool);
  return stored.length < 2 ? stored : stored.sort((a, b) => compareBytes(a.name, b.name));
}

function escapeName(name: ByteString): ByteString {
  return name.startsWith(OVERLAY.prefix) ? OVERLAY.escapedPrefix + name.slice(OVERLAY.prefix.length) : name;
}

function ownXattrs(node: TreeNode, pool: XattrPool): StoredXattr[] {
  const stored: StoredXattr[] = [];
  for (const [name, value] of node.xattrs) stored.push(pool.use(escapeName(name), value));
  return stored;
}

/** A mark takes the place of an xattr of its name. */
function markedXattrs(node: TreeNode, marks: Marks, pool: XattrPool): StoredXattr[] {
  const all = new Map<ByteString, Uint8Array>();
  for (const [name, value] of node.xattrs) all.set(escapeName(name), value);
  if (marks.whiteout) for (const name of OVERLAY.whiteout) all.set(name, NO_VALUE);
  if (marks.holdsWhiteouts) {
    for (const name of OVERLAY.whiteouts) all.set(name, NO_VALUE);
    if (marks.version >= 1) for (const name of OVERLAY.opaqueWithWhiteouts) all.set(name, toBytes('x'));
  }
  if (marks.isRoot) all.set(OVERLAY.opaque, toBytes('y'));
  return [...all].map(([name, value]) => pool.use(name, value));
}

/** Says where the content of a file is; the tree's own xattrs of these names are escaped, so none is replaced. */
function addObject({ digest, payload }: FileNode, stored: StoredXattr[], pool: XattrPool): void {
  stored.push(
    digest === undefined
      ? pool.use(OVERLAY.metacopy, NO_VALUE)
      : pool.useText(OVERLAY.metacopy, digest, () =>
          Buffer.concat([Uint8Array.from(METACOPY_HEADER), digestToBytes(digest)]),
        ),
  );
  if (payload !== undefined && payload !== '')
    stored.push(pool.useText(OVERLAY.redirect, payload, () => toBytes(`/${payload}`)));
}
