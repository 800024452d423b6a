/**
 * Makes files, directories and everything else on this machine as a tree says: contents, owners, modes, extended attributes, hard
 * links and times. Nothing is synced here.
 *
 * The calls are synchronous on purpose, as in tree/read-directory.ts; only objects are opened with promises.
 */
import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  lchownSync,
  linkSync,
  mkdirSync,
  openSync,
  readSync,
  symlinkSync,
  writeSync,
} from 'node:fs';
import { type ByteString, toBytes, toText } from '../core/bytes.ts';
import type { Digest } from '../core/digest.ts';
import { isSystemError, OsupdError, toOsupdError } from '../core/errors.ts';
import { FsverityHasher } from '../objects/fsverity.ts';
import type { OpenObject } from '../objects/pool.ts';
import { reflink } from '../sys/files.ts';
import { makeNode, setTime } from '../sys/nodes.ts';
import { setXattr } from '../sys/xattr.ts';
import { type FileNode, nodeOf, sortedChildren, type TreeNode, TYPE_BITS } from '../tree/tree.ts';

/** How contents that a tree names by digest are had. */
export type OpenContent = (digest: Digest) => Promise<OpenObject>;

const CHUNK_BYTES = 1 << 20;
/** Below it, sharing blocks costs more than copying. */
const REFLINK_BYTES = 64 << 10;
const CREATE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/** Writes trees, or parts of one: names of one node become hard links, in whatever order they come. */
export class TreeWriter {
  readonly #open: OpenContent;
  /** Where each node that is no directory was written first. */
  readonly #written = new Map<TreeNode, ByteString>();

  constructor(open: OpenContent) {
    this.#open = open;
  }

  /**
   * Writes a node, and everything below it, under a name that does not exist.
   * @throws OsupdError `no-space`, `io`; `damaged-store` for an object without the content of its name; `changed-while-read` for a
   *   file that is no longer what the tree's reader saw.
   */
  async write(node: TreeNode, path: ByteString): Promise<void> {
    try {
      if (node.type === 'directory') {
        mkdirSync(toBytes(path), 0o700);
        for (const [name, entry] of sortedChildren(node)) await this.write(nodeOf(entry), `${path}/${name}`);
        // Last: what is in it must not inherit its ACL, and its time is that of the last change in it.
        setMetadata(node, path);
      } else if (!this.#link(node, path)) {
        await this.#leaf(node, path);
        this.#written.set(node, path);
      }
    } catch (error) {
      throw toOsupdError(error, toText(path));
    }
  }

  /** One more name of what has been written; false when it has not, or cannot have a name there. */
  #link(node: TreeNode, path: ByteString): boolean {
    const first = this.#written.get(node);
    if (first === undefined) return false;
    try {
      linkSync(toBytes(first), toBytes(path));
      return true;
    } catch (error) {
      // Another file system is mounted there.
      if (isSystemError(error, 'EXDEV')) return false;
      throw error;
    }
  }

  async #leaf(node: Exclude<TreeNode, { type: 'directory' }>, path: ByteString): Promise<void> {
    if (node.type === 'file') await this.#file(node, path);
    else {
      if (node.type === 'symlink') symlinkSync(toBytes(node.target), toBytes(path));
      else makeNode(path, TYPE_BITS[node.type] | 0o600, 'rdev' in node ? node.rdev : 0);
      setMetadata(node, path);
    }
  }

  async #file(node: FileNode, path: ByteString): Promise<void> {
    const fd = openSync(toBytes(path), CREATE, 0o600);
    try {
      await this.#content(node, fd);
      // In this order: a change of the owner clears setuid bits.
      fchownSync(fd, node.uid, node.gid);
      fchmodSync(fd, node.mode);
    } finally {
      closeSync(fd);
    }
    setXattrsAndTime(node, path);
  }

  async #content(node: FileNode, target: number): Promise<void> {
    if (node.size === 0) return;
    if (node.content !== undefined) writeAll(target, node.content, 0);
    else if (node.source !== undefined) copyFile(node, node.source, target);
    else if (node.digest !== undefined) await this.#object(node, node.digest, target);
    else throw new OsupdError('invalid-tree', 'a file without content: the image names no digest for it');
  }

  async #object(node: FileNode, digest: Digest, target: number): Promise<void> {
    await using object = await this.#open(digest);
    if (object.size === node.size && object.size >= REFLINK_BYTES && shareBlocks(object.path, target)) return;
    const hasher = new FsverityHasher();
    for (let offset = 0; offset < object.size; offset += CHUNK_BYTES) {
      const chunk = await object.read(offset, Math.min(CHUNK_BYTES, object.size - offset));
      writeAll(target, chunk, offset);
      hasher.update(chunk);
    }
    if (hasher.digest() === digest && hasher.size === node.size) return;
    throw new OsupdError('damaged-store', 'the object does not have the content of its name', {
      where: object.path,
      remedy: 'run "osupd fsck --repair"',
      facts: { object: digest },
    });
  }
}

function shareBlocks(path: string, target: number): boolean {
  const source = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    return reflink(source, target);
  } finally {
    closeSync(source);
  }
}

/** What is written is compared with what the tree's reader has hashed. */
function copyFile(node: FileNode, source: ByteString, target: number): void {
  const fd = openSync(toBytes(source), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const buffer = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, node.size));
    const hasher = new FsverityHasher();
    for (;;) {
      const count = readSync(fd, buffer, 0, buffer.length, hasher.size);
      if (count === 0) break;
      const chunk = buffer.subarray(0, count);
      writeAll(target, chunk, hasher.size);
      hasher.update(chunk);
      if (hasher.size > node.size) break;
    }
    if (hasher.size === node.size && (node.digest === undefined || hasher.digest() === node.digest)) return;
    throw new OsupdError('changed-while-read', 'the file was written to while it was read', { where: toText(source) });
  } finally {
    closeSync(fd);
  }
}

function writeAll(fd: number, bytes: Uint8Array, position: number): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done, bytes.length - done, position + done);
}

function setMetadata(node: TreeNode, path: ByteString): void {
  lchownSync(toBytes(path), node.uid, node.gid);
  // The mode of a symlink means nothing, and Linux cannot set it.
  if (node.type !== 'symlink') chmodSync(toBytes(path), node.mode);
  setXattrsAndTime(node, path);
}

function setXattrsAndTime(node: TreeNode, path: ByteString): void {
  for (const [name, value] of node.xattrs) setXattr(path, name, value);
  setTime(path, node.mtime);
}
