/** Puts entries that come in walk order together to a tree. */
import type { ByteString } from '../../core/bytes.ts';
import { MAX_TREE_DEPTH } from '../../core/limits.ts';
import type { DirectoryNode, Tree, TreeNode } from '../../tree/tree.ts';
import { damagedDelta } from '../damage.ts';
import type { LinkTargets } from './entries.ts';

/** What an image can say. */
const MAX_LINKS = 0xffffffff;

interface Link {
  readonly directory: DirectoryNode;
  readonly name: ByteString;
  readonly number: number;
  /** How far the entry that it leads to is from the expected one. */
  readonly correction: number;
}

/** All methods throw OsupdError `damaged-delta` for what makes no tree. */
export class TreeBuilder {
  readonly #targets: LinkTargets;
  /** By entry number; undefined for further names of files. */
  readonly #nodes: (TreeNode | undefined)[] = [];
  readonly #links: Link[] = [];
  /** The directories above the next entry, the root first, each with the last name in it. */
  readonly #path: { readonly directory: DirectoryNode; last: ByteString }[] = [];

  constructor(targets: LinkTargets) {
    this.#targets = targets;
  }

  addNode(name: ByteString, depth: number, node: TreeNode): void {
    if (this.#nodes.length === 0) {
      if (node.type !== 'directory' || depth !== 0 || name !== '') throw damagedDelta('the first entry is not a root');
      this.#path.push({ directory: node, last: '' });
    } else {
      const directory = this.#parent(name, depth);
      directory.children.set(name, node);
      if (node.type === 'directory') {
        directory.nlink++;
        this.#path.push({ directory: node, last: '' });
      }
    }
    this.#nodes.push(node);
  }

  addLink(name: ByteString, depth: number, correction: number): void {
    const directory = this.#parent(name, depth);
    this.#links.push({ directory, name, number: this.#nodes.length, correction });
    this.#nodes.push(undefined);
  }

  finish(): Tree {
    for (const { directory, name, number, correction } of this.#links) {
      const target = this.#nodes[this.#targets.expected(number) + correction];
      if (target === undefined || target.type === 'directory')
        throw damagedDelta('a further name of a file leads to no file');
      target.nlink++;
      directory.children.set(name, { type: 'hardlink', target });
    }
    for (const node of this.#nodes)
      if (node !== undefined && (node.nlink < 0 || node.nlink > MAX_LINKS))
        throw damagedDelta('a link count is out of range');
    return { root: this.#nodes[0] as DirectoryNode };
  }

  /** The directory that an entry of this depth is in, with the names of each directory in ascending order. */
  #parent(name: ByteString, depth: number): DirectoryNode {
    if (depth < 1 || depth > this.#path.length || depth > MAX_TREE_DEPTH)
      throw damagedDelta(`an entry at depth ${depth} has no directory above it`);
    this.#path.length = depth;
    const parent = this.#path[depth - 1]!;
    if (name === '.' || name === '..' || name.includes('/') || name <= parent.last)
      throw damagedDelta('a name is not allowed, or out of order');
    parent.last = name;
    return parent.directory;
  }
}
