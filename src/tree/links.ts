/** Which name of a file is its primary one, and how many names it has: settled here for every reader and for layers. */
import type { ByteString } from '../core/bytes.ts';
import { type DirectoryNode, type Entry, nodeOf, sortedChildren, type Tree } from './tree.ts';

/**
 * Makes the first name of each file (depth-first, byte order) its primary name and every other one a hard link, wherever
 * the node was before; sets `nlink` to the number of names, and of a directory to two and one for each directory in it.
 * Changes the tree in place.
 */
export function settleLinks(tree: Tree): void {
  const seen = new Set<Entry>();
  const stack: { directory: DirectoryNode; entries: [ByteString, Entry][]; next: number }[] = [];
  const enter = (directory: DirectoryNode) => {
    directory.nlink = 2;
    stack.push({ directory, entries: sortedChildren(directory), next: 0 });
  };
  enter(tree.root);
  for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
    const item = top.entries[top.next++];
    if (item === undefined) {
      stack.pop();
      continue;
    }
    const [name, entry] = item;
    const node = nodeOf(entry);
    if (node.type === 'directory') {
      top.directory.nlink++;
      enter(node);
    } else if (!seen.has(node)) {
      seen.add(node);
      node.nlink = 1;
      if (entry !== node) top.directory.children.set(name, node);
    } else {
      node.nlink++;
      if (entry === node) top.directory.children.set(name, { type: 'hardlink', target: node });
    }
  }
}
