/**
 * Reads a metadata image into a tree. The bytes may come from anywhere: every number is checked before it is used. Accepted is
 * the layout that composefs writes and nothing else, which also bounds the work: inodes come in breadth-first order, each exactly where
 * the rules of docs/formats/image.md put it, and each block of data belongs to one inode, so no content is read twice.
 */
import { type ByteString, toText } from '../core/bytes.ts';
import { OsupdError } from '../core/errors.ts';
import { MAX_TREE_DEPTH, MAX_TREE_NODES, MAX_TREE_XATTRS } from '../core/limits.ts';
import { brokenNameRule } from '../tree/rules.ts';
import { HIDDEN_NAMES } from '../tree/stored-names.ts';
import { type DirectoryNode, EPOCH, type Time, type Tree, type TreeNode } from '../tree/tree.ts';
import { BLOCK_BYTES, COMPACT, ENTRY_TYPE, INODES_START, LAYOUT, maxExpansion, roundUp, SLOT_BYTES } from './format.ts';
import { placeInode } from './layout.ts';
import { readEntries, type StoredEntry } from './read-entries.ts';
import { contentOf, type Damage, readInode, type StoredInode } from './read-inode.ts';
import { isMarked, makeNode, removeMarks } from './read-node.ts';
import { readSuperblock, type Superblock } from './read-superblock.ts';
import { XattrReader } from './read-xattrs.ts';

/**
 * The tree of an image. Xattr values and contents are views of `bytes`. A file with several names has as its primary name the one whose
 * place the inode has in the image, so that encoding the tree gives the same image again.
 * @param where names the image in messages.
 * @throws OsupdError `damaged-image` with facts `what` and `offset`.
 */
export function decodeImage(bytes: Uint8Array, where?: string): Tree {
  return new ImageReader(bytes, where).read().tree;
}

/** Where the content of an inode is: whole blocks first, then the bytes beside the inode. */
export interface Extents {
  readonly blockAt: number;
  readonly blocks: number;
  readonly tailAt: number;
  readonly tail: number;
}

/** What is told of an image's bytes while they are read. */
export interface ImageWatcher {
  superblock?(superblock: Superblock): void;
  inode?(path: ByteString, inode: StoredInode, extents: Extents, xattrs: XattrReader): void;
}

interface OpenDirectory {
  readonly node: DirectoryNode;
  readonly inode: StoredInode;
  readonly extents: Extents;
  readonly parentNid: number;
  readonly depth: number;
  /** With a slash at its end. */
  readonly path: ByteString;
}

interface PlacedInode {
  /** Undefined for a hidden name of the root. */
  readonly node: TreeNode | undefined;
  readonly storedType: TreeNode['type'];
  /** Bytes that its xattrs and content come to when they are written out. */
  readonly bytes: number;
}

const HIDDEN = new Set(HIDDEN_NAMES);
const NO_CONTENT = new Uint8Array(0);

/** Reads one image, once. */
export class ImageReader {
  readonly #image: Buffer;
  readonly #watcher: ImageWatcher;
  readonly #damage: Damage;
  /** The directory that is being read, for messages. */
  #path: ByteString = '';
  #buildTime: Time = EPOCH;
  readonly #placed = new Map<number, PlacedInode>();
  readonly #queue: OpenDirectory[] = [];
  readonly #links: { readonly directory: OpenDirectory; readonly entry: StoredEntry }[] = [];
  /** End of the inodes placed so far. */
  #cursor = INODES_START;
  /** First data block of the image, known from the first inode that has one, and how many were given to inodes so far. */
  #dataBlock: number | undefined;
  #blocks = 0;
  #expansion = 0;
  #xattrs = 0;

  constructor(bytes: Uint8Array, where: string | undefined, watcher: ImageWatcher = {}) {
    this.#image = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#watcher = watcher;
    this.#damage = (what, offset) => {
      const place = this.#path === '' ? '' : ` in ${toText(this.#path.slice(0, 200))}`;
      return new OsupdError('damaged-image', `${what} (byte ${offset}${place})`, {
        ...(where === undefined ? {} : { where }),
        facts: { what, offset },
      });
    };
  }

  read(): { superblock: Superblock; tree: Tree } {
    const superblock = readSuperblock(this.#image, this.#damage);
    this.#watcher.superblock?.(superblock);
    const xattrs = new XattrReader(this.#image, superblock.xattrBlock, this.#damage);
    this.#buildTime = superblock.buildTime;
    const root = this.#readRoot(superblock, xattrs);
    for (let next = 0; next < this.#queue.length; next++) {
      const directory = this.#queue[next] as OpenDirectory;
      this.#path = directory.path;
      this.#readDirectory(directory, superblock, xattrs);
    }
    this.#path = '';
    for (const { directory, entry } of this.#links) {
      if (!this.#addLink(directory, entry)) throw this.#damage('an entry points to no inode of the tree', entry.at);
    }
    this.#checkEnd(superblock, xattrs);
    return { superblock, tree: { root } };
  }

  #readRoot(superblock: Superblock, xattrs: XattrReader): DirectoryNode {
    const nid = superblock.rootNid;
    const inode = this.#inodeAt(nid, 0);
    if (inode.type !== 'directory' || inode.number !== 0)
      throw this.#damage('the root is not the first inode', inode.at);
    const { node, extents } = this.#placeInode(inode, nid, '/', xattrs, { isRoot: true, inMarked: false });
    this.#queue.push({ node: node as DirectoryNode, inode, extents, parentNid: nid, depth: 0, path: '/' });
    return node as DirectoryNode;
  }

  #readDirectory(directory: OpenDirectory, superblock: Superblock, xattrs: XattrReader): void {
    const { node, inode, extents } = directory;
    const inMarked = isMarked(node.xattrs, superblock.version);
    const ownNid = inode.at / SLOT_BYTES;
    let last = '';
    let dots = 0;
    let directories = 0;
    let whiteouts = 0;
    for (const entry of this.#entries(extents)) {
      const { name, nid } = entry;
      if (name <= last) throw this.#damage('the names of a directory are not in order', entry.nameAt);
      last = name;
      if (name === '.' || name === '..') {
        if (nid !== (name === '.' ? ownNid : directory.parentNid) || entry.type !== ENTRY_TYPE.directory)
          throw this.#damage(`'${name}' points elsewhere`, entry.at);
        dots++;
        continue;
      }
      const broken = brokenNameRule(name);
      if (broken !== undefined) throw this.#damage(broken, entry.nameAt);
      const added = this.#addEntry(directory, entry, xattrs, inMarked);
      if (added?.type === 'directory') directories++;
      else if (added?.type === 'character' && added.rdev === 0) whiteouts++;
    }
    if (dots !== 2) throw this.#damage("a directory without '.' or '..'", inode.at);
    if (inode.nlink !== 2 + directories) throw this.#damage('the link count of a directory is wrong', inode.at);
    if (whiteouts > 0) removeMarks(node.xattrs);
  }

  *#entries({ blockAt, blocks, tailAt, tail }: Extents): Generator<StoredEntry> {
    for (let block = 0; block < blocks; block++) {
      const start = blockAt + block * BLOCK_BYTES;
      yield* readEntries(this.#image, start, start + BLOCK_BYTES, this.#damage);
    }
    if (tail > 0) yield* readEntries(this.#image, tailAt, tailAt + tail, this.#damage);
  }

  /** Adds what an entry names to the directory; returns the node where this is its primary name. */
  #addEntry(
    directory: OpenDirectory,
    entry: StoredEntry,
    xattrs: XattrReader,
    inMarked: boolean,
  ): TreeNode | undefined {
    if (this.#addLink(directory, entry)) return undefined;
    const { name, nid } = entry;
    const inode = this.#inodeAt(nid, entry.at);
    // The inode's place is where its primary name is; another name that comes first has to wait for it.
    if (inode.number !== this.#placed.size) {
      this.#links.push({ directory, entry });
      return undefined;
    }
    if (ENTRY_TYPE[inode.type] !== entry.type) throw this.#damage("an entry's type is not its inode's", entry.at);
    const path = directory.path + name;
    if (inode.type === 'character' && inode.union === 0) {
      this.#placeHidden(directory, entry, inode, path, xattrs);
      return undefined;
    }
    const { node, extents, bytes } = this.#placeInode(inode, nid, path, xattrs, { isRoot: false, inMarked });
    this.#charge(path.length + bytes, entry.at);
    directory.node.children.set(name, node);
    if (node.type === 'directory') {
      const depth = directory.depth + 1;
      if (depth > MAX_TREE_DEPTH) throw this.#damage(`more than ${MAX_TREE_DEPTH} levels of directories`, entry.at);
      this.#queue.push({
        node,
        inode,
        extents,
        parentNid: directory.inode.at / SLOT_BYTES,
        depth,
        path: `${path}/`,
      });
    }
    return node;
  }

  /** Adds a further name of an inode that has its primary name already; false where it has none yet. */
  #addLink(directory: OpenDirectory, entry: StoredEntry): boolean {
    const placed = this.#placed.get(entry.nid);
    if (placed === undefined) return false;
    const { node, storedType, bytes } = placed;
    if (node === undefined) throw this.#damage('a hard link to a hidden name', entry.at);
    if (node.type === 'directory') throw this.#damage('a directory with two names', entry.at);
    if (ENTRY_TYPE[storedType] !== entry.type) throw this.#damage("an entry's type is not its inode's", entry.at);
    this.#charge(directory.path.length + entry.name.length + bytes, entry.at);
    directory.node.children.set(entry.name, { type: 'hardlink', target: node });
    return true;
  }

  /** `00` to `ff` in the root are whiteout devices that are not the tree's. */
  #placeHidden(
    directory: OpenDirectory,
    entry: StoredEntry,
    inode: StoredInode,
    path: ByteString,
    xattrs: XattrReader,
  ): void {
    if (directory.depth !== 0 || !HIDDEN.has(entry.name))
      throw this.#damage('a whiteout device that is not one of the hidden names', inode.at);
    const extents = this.#claim(inode);
    // Read although nobody needs them, so that they are checked.
    xattrs.read(inode);
    this.#watcher.inode?.(path, inode, extents, xattrs);
    this.#placed.set(entry.nid, { node: undefined, storedType: inode.type, bytes: 0 });
  }

  #placeInode(
    inode: StoredInode,
    nid: number,
    path: ByteString,
    xattrs: XattrReader,
    place: { isRoot: boolean; inMarked: boolean },
  ): { node: TreeNode; extents: Extents; bytes: number } {
    const extents = this.#claim(inode);
    const stored = xattrs.read(inode);
    this.#xattrs += stored.size;
    if (this.#xattrs > MAX_TREE_XATTRS) throw this.#damage(`more than ${MAX_TREE_XATTRS} xattrs`, inode.at);
    const content = this.#content(inode, extents);
    this.#watcher.inode?.(path, inode, extents, xattrs);
    const node = makeNode({ inode, xattrs: stored, content, buildTime: this.#buildTime, ...place }, this.#damage);
    let bytes = content.length;
    for (const [name, value] of stored) bytes += name.length + value.length;
    this.#placed.set(nid, { node, storedType: inode.type, bytes });
    return { node, extents, bytes };
  }

  #inodeAt(nid: number, from: number): StoredInode {
    const at = nid * SLOT_BYTES;
    if (at < INODES_START || at + SLOT_BYTES > this.#image.length)
      throw this.#damage('an inode is outside of the image', from);
    return readInode(this.#image, at, this.#buildTime, this.#damage);
  }

  /** Checks that an inode is where the one before it leaves it, and takes its room and its blocks. */
  #claim(inode: StoredInode): Extents {
    if (this.#placed.size >= MAX_TREE_NODES) throw this.#damage(`more than ${MAX_TREE_NODES} inodes`, inode.at);
    const content = contentOf(inode, this.#damage);
    const tailAt = inode.xattrAt + inode.xattrBytes;
    const placed = placeInode(inode.type, this.#cursor, tailAt - inode.at, content.tail);
    if (placed.position !== inode.at) throw this.#damage('an inode is not in its place', inode.at);
    if (inode.type === 'symlink' && inode.layout !== (placed.tail > 0 ? LAYOUT.inline : LAYOUT.plain))
      throw this.#damage('a symlink of the wrong layout', inode.at);
    this.#cursor = tailAt + placed.tail;
    if (this.#cursor > this.#image.length) throw this.#damage('an inode is cut off', inode.at);
    const blocks = content.blocks + placed.extraBlocks;
    return { blockAt: blocks > 0 ? this.#claimBlocks(inode, blocks) : 0, blocks, tailAt, tail: placed.tail };
  }

  /** Blocks are given out in the order of the inodes. */
  #claimBlocks(inode: StoredInode, blocks: number): number {
    const isArray = inode.layout === LAYOUT.chunks;
    if (!isArray) this.#dataBlock ??= inode.union;
    const block = (this.#dataBlock ?? 0) + this.#blocks;
    // In a chunk array's inode the chunk format has replaced the low half of the block number.
    if (isArray ? inode.union >>> 16 !== block >>> 16 : inode.union !== block)
      throw this.#damage('the blocks of an inode are not in their place', inode.at + COMPACT.offsets.union);
    if ((block + blocks) * BLOCK_BYTES > this.#image.length)
      throw this.#damage('the blocks of an inode are outside of the image', inode.at + COMPACT.offsets.union);
    this.#blocks += blocks;
    return block * BLOCK_BYTES;
  }

  #content({ type, size, layout }: StoredInode, { blockAt, blocks, tailAt, tail }: Extents): Uint8Array {
    if (layout === LAYOUT.chunks || size === 0 || (type !== 'file' && type !== 'symlink')) return NO_CONTENT;
    const tailBytes = this.#image.subarray(tailAt, tailAt + tail);
    if (blocks === 0) return tailBytes;
    const blockBytes = this.#image.subarray(blockAt, blockAt + size - tail);
    return tail === 0 ? blockBytes : Buffer.concat([blockBytes, tailBytes]);
  }

  #charge(bytes: number, offset: number): void {
    this.#expansion += bytes;
    if (this.#expansion > maxExpansion(this.#image.length))
      throw this.#damage('paths and xattrs that come to far more than the image', offset);
  }

  #checkEnd({ inodes, xattrBlock }: Superblock, xattrs: XattrReader): void {
    if (inodes !== this.#placed.size) throw this.#damage('the number of inodes is wrong', 0);
    const inodesEnd = roundUp(this.#cursor, SLOT_BYTES);
    const dataStart = (this.#dataBlock ?? this.#image.length / BLOCK_BYTES) * BLOCK_BYTES;
    if (xattrBlock !== Math.floor(inodesEnd / BLOCK_BYTES))
      throw this.#damage('the shared xattrs are not behind the inodes', 0);
    for (const { at, paddedEnd } of xattrs.shared) {
      if (at < inodesEnd || paddedEnd > dataStart) throw this.#damage('a shared xattr is out of place', at);
    }
    if (dataStart + this.#blocks * BLOCK_BYTES !== this.#image.length)
      throw this.#damage('the image does not end with its last block', this.#image.length);
  }
}
