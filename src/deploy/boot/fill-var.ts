/**
 * The first fill of the directories that all deployments share (/var, /home and so on) from what the image has in them. What exists
 * stays as it is, whatever the image says: it is the machine's.
 *
 * What is missing is made in a directory beside, synced, and renamed to its place: a name never stands for half of a file or
 * of a directory. A cut leaves some names there and others not; done again, the rest comes.
 */
import { lstatSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { type ByteString, fromText, toBytes } from '../../core/bytes.ts';
import { toOsupdError } from '../../core/errors.ts';
import { syncFileSystem } from '../../sys/durable.ts';
import { type DirectoryNode, nodeOf, sortedChildren, type Tree, type TreeNode } from '../../tree/tree.ts';
import { type OpenContent, TreeWriter } from '../write-tree.ts';

export interface FillRequest {
  /** Root of the state file system, on this machine. */
  readonly stateRoot: string;
  /** What the stack shows. */
  readonly tree: Tree;
  /** Absolute paths in the tree: `/var`, `/home`. One that the tree does not have, or has as a link, is left out. */
  readonly directories: readonly string[];
  readonly openObject: OpenContent;
}

/** Holds what is made and not yet in its place. */
const ASIDE = '.osupd-fill';

/** A missing name, and where it waits. */
interface Prepared {
  readonly aside: ByteString;
  readonly place: ByteString;
}

/**
 * Makes what does not exist, with modes, owners, extended attributes, hard links and times, durably.
 * @throws OsupdError `no-space`, `io`, `damaged-store`
 */
export async function fillWritable({ stateRoot, tree, directories, openObject }: FillRequest): Promise<void> {
  const filler = new Filler(openObject);
  try {
    await filler.fill(chosenParts(tree, directories), fromText(stateRoot));
    filler.finish();
  } catch (error) {
    throw toOsupdError(error, stateRoot);
  }
}

/** The tree with these directories alone, and those that lead to them. */
function chosenParts({ root }: Tree, directories: readonly string[]): DirectoryNode {
  const chosen: DirectoryNode = { ...root, children: new Map() };
  for (const path of directories) {
    let [from, to] = [root, chosen];
    const names = fromText(path)
      .split('/')
      .filter((name) => name !== '');
    for (const [index, name] of names.entries()) {
      const found = from.children.get(name);
      if (found?.type !== 'directory') break;
      const known = to.children.get(name);
      const isLast = index === names.length - 1;
      const copy =
        known?.type === 'directory' && !isLast ? known : { ...found, ...(isLast ? {} : { children: new Map() }) };
      to.children.set(name, copy);
      [from, to] = [found, copy];
    }
  }
  return chosen;
}

class Filler {
  readonly #writer: TreeWriter;
  readonly #prepared: Prepared[] = [];
  /** Directory for what is not yet in its place, by device: a rename does not lead from one file system to another. */
  readonly #aside = new Map<bigint, ByteString>();

  constructor(open: OpenContent) {
    this.#writer = new TreeWriter(open);
  }

  /** Prepares what a directory of the machine does not have of the image's. */
  async fill(directory: DirectoryNode, path: ByteString): Promise<void> {
    rmSync(toBytes(`${path}/${ASIDE}`), { recursive: true, force: true });
    for (const [name, entry] of sortedChildren(directory)) {
      const place = path.endsWith('/') ? path + name : `${path}/${name}`;
      const node = nodeOf(entry);
      const found = lstatSync(toBytes(place), { throwIfNoEntry: false });
      if (found === undefined) await this.#prepare(node, place, path);
      else if (found.isDirectory() && node.type === 'directory') await this.fill(node, place);
    }
  }

  async #prepare(node: TreeNode, place: ByteString, parent: ByteString): Promise<void> {
    const { dev } = lstatSync(toBytes(parent), { bigint: true });
    let directory = this.#aside.get(dev);
    if (directory === undefined) {
      directory = `${parent}/${ASIDE}`;
      mkdirSync(toBytes(directory), 0o700);
      this.#aside.set(dev, directory);
    }
    const aside = `${directory}/${this.#prepared.length}`;
    await this.#writer.write(node, aside);
    this.#prepared.push({ aside, place });
  }

  finish(): void {
    const directories = [...this.#aside.values()].map((path) => toBytes(path).toString());
    for (const directory of directories) syncFileSystem(directory);
    for (const { aside, place } of this.#prepared) renameSync(toBytes(aside), toBytes(place));
    for (const directory of directories) {
      rmSync(directory, { recursive: true });
      syncFileSystem(dirname(directory));
    }
  }
}
