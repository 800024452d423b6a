/** Numbers the inodes of an image: breadth-first from the root, children in byte order of their names. Checks every node on the way. */
import { type ByteString, toText } from '../core/bytes.ts';
import { OsupdError } from '../core/errors.ts';
import { MAX_TREE_DEPTH, MAX_TREE_NODES, MAX_TREE_XATTRS } from '../core/limits.ts';
import { storedNames } from '../tree/stored-names.ts';
import { compareTimes, type DirectoryNode, type Time, type Tree, type TreeNode } from '../tree/tree.ts';
import { brokenEntryRule, brokenNodeRule } from './rules.ts';

export interface PlacedInode {
  /** The tree's node; for a hidden name of the root, a whiteout device made for it. */
  readonly node: TreeNode;
  /** Type in the image: a whiteout of the tree is an empty file there. */
  readonly type: TreeNode['type'];
  readonly parent: number;
  readonly name: ByteString;
  readonly depth: number;
  readonly pathBytes: number;
  nlink: number;
  /** Of a directory: all names in byte order, and the inode of each by number. */
  names: readonly ByteString[];
  children: number[];
  /** True for a directory that has whiteouts of the tree in it. */
  holdsWhiteouts: boolean;
}

/** A further name of an inode. */
export interface PlacedLink {
  readonly directory: PlacedInode;
  readonly slot: number;
  readonly name: ByteString;
  readonly target: TreeNode;
}

export interface Placement {
  /** In the order of their numbers, the root first. */
  readonly inodes: readonly PlacedInode[];
  readonly links: readonly PlacedLink[];
  readonly hasWhiteout: boolean;
  /** The smallest mtime. */
  readonly buildTime: Time;
}

const NO_NAMES: readonly ByteString[] = [];
const NO_CHILDREN: number[] = [];

/** @throws OsupdError `invalid-tree` with facts `rule` and `path`; `limit-exceeded` for too many or too deep nodes. */
export function placeInodes(tree: Tree): Placement {
  return new Placer(tree).place();
}

export function isWhiteout(node: TreeNode): boolean {
  return node.type === 'character' && node.rdev === 0;
}

class Placer {
  readonly #inodes: PlacedInode[] = [];
  readonly #numbers = new Map<TreeNode, number>();
  readonly #links: PlacedLink[] = [];
  readonly #root: DirectoryNode;
  #hasWhiteout = false;
  #xattrs = 0;
  #buildTime: Time;

  constructor(tree: Tree) {
    this.#root = tree.root;
    this.#buildTime = tree.root.mtime;
  }

  place(): Placement {
    this.#add(this.#root, 'directory', 0, '');
    for (let number = 0; number < this.#inodes.length; number++) {
      const inode = this.#inodes[number] as PlacedInode;
      if (inode.node.type === 'directory') this.#enter(inode, inode.node, number);
    }
    for (const { directory, slot, name, target } of this.#links) {
      const number = this.#numbers.get(target);
      if (number === undefined)
        throw this.#refuse('hard link target is not in the tree', this.#numbers.get(directory.node) ?? 0, name);
      directory.children[slot] = number;
    }
    return {
      inodes: this.#inodes,
      links: this.#links,
      hasWhiteout: this.#hasWhiteout,
      buildTime: this.#buildTime,
    };
  }

  #enter(inode: PlacedInode, directory: DirectoryNode, number: number): void {
    const names = storedNames(directory, number === 0);
    const children: number[] = new Array(names.length);
    inode.names = names;
    inode.children = children;
    inode.nlink = 2;
    for (let slot = 0; slot < names.length; slot++) {
      const name = names[slot] as ByteString;
      const entry = directory.children.get(name);
      if (entry === undefined) {
        children[slot] = name === '.' ? number : name === '..' ? inode.parent : this.#addHidden(name);
        continue;
      }
      const broken = brokenEntryRule(name, entry);
      if (broken !== undefined) throw this.#refuse(broken, number, name);
      if (entry.type === 'hardlink') {
        this.#links.push({ directory: inode, slot, name, target: entry.target });
        continue;
      }
      if (entry.type === 'directory') inode.nlink++;
      const whiteout = isWhiteout(entry);
      if (whiteout) this.#hasWhiteout = inode.holdsWhiteouts = true;
      children[slot] = this.#add(entry, whiteout ? 'file' : entry.type, number, name);
    }
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
    return this.#add(device, 'character', 0, name);
  }

  #add(node: TreeNode, type: TreeNode['type'], parent: number, name: ByteString): number {
    const number = this.#inodes.length;
    const broken = this.#numbers.has(node) ? 'one node in two places' : brokenNodeRule(node);
    if (broken !== undefined) throw this.#refuse(broken, parent, name);
    const above = this.#inodes[parent];
    const depth = above === undefined ? 0 : above.depth + 1;
    if (number >= MAX_TREE_NODES) throw this.#limit('MAX_TREE_NODES', `more than ${MAX_TREE_NODES} inodes`);
    this.#xattrs += node.xattrs.size;
    if (this.#xattrs > MAX_TREE_XATTRS) throw this.#limit('MAX_TREE_XATTRS', `more than ${MAX_TREE_XATTRS} xattrs`);
    if (type === 'directory' && depth > MAX_TREE_DEPTH)
      throw this.#limit('MAX_TREE_DEPTH', `more than ${MAX_TREE_DEPTH} levels of directories`);
    this.#numbers.set(node, number);
    this.#inodes.push({
      node,
      type,
      parent,
      name,
      depth,
      pathBytes: above === undefined ? 0 : above.pathBytes + 1 + name.length,
      nlink: node.nlink,
      names: NO_NAMES,
      children: NO_CHILDREN,
      holdsWhiteouts: false,
    });
    if (compareTimes(node.mtime, this.#buildTime) < 0) this.#buildTime = node.mtime;
    return number;
  }

  #pathOf(parent: number, name: ByteString): ByteString {
    const names = name === '' ? [] : [name];
    for (let at = parent; at !== 0; ) {
      const inode = this.#inodes[at] as PlacedInode;
      names.push(inode.name);
      at = inode.parent;
    }
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
