/**
 * Reads a directory of this machine as a tree. Names, metadata and small contents are read here; larger contents stay where
 * they are, as `source`.
 *
 * The calls are synchronous on purpose: a tree has tens of thousands of entries, each call takes microseconds when the
 * directory is cached, and a promise for each would take longer than the call.
 */
import {
  type BigIntStats,
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  realpathSync,
} from 'node:fs';
import { type ByteString, compareBytes, fromText, toBytes, toText } from '../core/bytes.ts';
import { isSystemError, OsupdError, toOsupdError } from '../core/errors.ts';
import { MAX_TREE_DEPTH, MAX_TREE_NODES } from '../core/limits.ts';
import { readXattrs } from '../sys/xattr.ts';
import { type ReadOptions, stopIfAborted } from './content.ts';
import { settleLinks } from './links.ts';
import { type ReadRules, readRules } from './read-rules.ts';
import type { DirectoryNode, FileNode, HardLink, Time, Tree, TreeNode } from './tree.ts';

export interface DirectoryOptions extends ReadOptions {
  /** Read what is on the root's file system alone; where another one is mounted, the directory is empty. */
  readonly oneFileSystem?: boolean | undefined;
}

/** Entries between two looks at the signal and two reports of progress. */
const BREATH = 1024;

interface OpenDirectory {
  readonly path: ByteString;
  /** Path below the root with a final `/`; empty for the root. */
  readonly prefix: ByteString;
  readonly node: DirectoryNode;
  readonly stat: BigIntStats;
  readonly names: ByteString[];
  next: number;
}

/**
 * The tree of a directory. `root` may be a symlink to a directory; symlinks in it are never followed. Files with several
 * names in the tree become hard links of the first one (depth-first, byte order).
 * @throws OsupdError `not-found`; `changed-while-read` naming what changed or vanished; `limit-exceeded`; `interrupted`;
 * `io` where something cannot be read.
 */
export async function readDirectory(root: string, options: DirectoryOptions): Promise<Tree> {
  const reader = new DirectoryReader(options);
  return reader.read(root);
}

class DirectoryReader {
  readonly #options: DirectoryOptions;
  readonly #rules: ReadRules;
  /** Files with more than one name anywhere, by device and inode. */
  readonly #linked = new Map<string, HardLink['target']>();
  #count = 0;

  constructor(options: DirectoryOptions) {
    this.#options = options;
    this.#rules = readRules(options);
  }

  async read(root: string): Promise<Tree> {
    const { progress } = this.#options;
    progress?.({ kind: 'start', step: 'read tree', unit: 'items' });
    const path = system(fromText(root), () => realpathSync(root, 'latin1')) as ByteString;
    const stat = system(path, () => lstatSync(systemPath(path), { bigint: true }));
    if (!stat.isDirectory()) throw new OsupdError('not-found', 'not a directory', { where: root });
    const tree = { root: this.#directory(path, stat) };
    const stack = [this.#open(path, '', tree.root, stat)];
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const name = top.names[top.next++];
      if (name === undefined) {
        this.#close(stack.pop() as OpenDirectory);
        continue;
      }
      if (this.#rules.excludes(top.prefix + name)) continue;
      const opened = this.#entry(top, name, stat.dev);
      if (opened !== undefined) {
        if (stack.push(opened) > MAX_TREE_DEPTH)
          throw new OsupdError('limit-exceeded', `directories are nested more than ${MAX_TREE_DEPTH} deep`, {
            where: toText(opened.path),
          });
      }
      if (this.#count % BREATH === 0) await this.#breathe();
    }
    stopIfAborted(this.#options.signal);
    settleLinks(tree);
    progress?.({ kind: 'finish', step: 'read tree', done: this.#count });
    return tree;
  }

  async #breathe(): Promise<void> {
    if (this.#count > MAX_TREE_NODES)
      throw new OsupdError('limit-exceeded', `the tree has more than ${MAX_TREE_NODES} entries`);
    this.#options.progress?.({ kind: 'advance', step: 'read tree', done: this.#count });
    await new Promise(setImmediate);
    stopIfAborted(this.#options.signal);
  }

  #open(path: ByteString, prefix: ByteString, node: DirectoryNode, stat: BigIntStats): OpenDirectory {
    const names = present(path, () => readdirSync(systemPath(path), 'latin1')) as ByteString[];
    return { path, prefix, node, stat, names: names.sort(compareBytes), next: 0 };
  }

  /** A name that came or went while the directory was read shows in its times. */
  #close({ path, stat }: OpenDirectory): void {
    const now = present(path, () => lstatSync(systemPath(path), { bigint: true }));
    if (now.ino !== stat.ino || now.mtimeNs !== stat.mtimeNs) throw changed(path);
  }

  /** Reads one entry into its directory; a directory is returned, to be read next. */
  #entry(parent: OpenDirectory, name: ByteString, device: bigint): OpenDirectory | undefined {
    const path = `${parent.path === '/' ? '' : parent.path}/${name}`;
    const stat = present(path, () => lstatSync(systemPath(path), { bigint: true }));
    this.#count++;
    if (stat.isDirectory()) {
      const node = this.#directory(path, stat);
      parent.node.children.set(name, node);
      if (this.#options.oneFileSystem && stat.dev !== device) return undefined;
      return this.#open(path, `${parent.prefix}${name}/`, node, stat);
    }
    const key = stat.nlink > 1n ? `${stat.dev}:${stat.ino}` : undefined;
    const target = key === undefined ? undefined : this.#linked.get(key);
    if (target !== undefined) {
      parent.node.children.set(name, { type: 'hardlink', target });
      return undefined;
    }
    const node = this.#leaf(path, stat);
    if (node === undefined) return undefined;
    parent.node.children.set(name, node);
    if (key !== undefined) this.#linked.set(key, node);
    return undefined;
  }

  #directory(path: ByteString, stat: BigIntStats): DirectoryNode {
    return { type: 'directory', ...this.#common(path, stat), children: new Map() };
  }

  #leaf(path: ByteString, stat: BigIntStats): Exclude<TreeNode, DirectoryNode> | undefined {
    if (stat.isFile()) return this.#file(path, stat);
    const common = this.#common(path, stat);
    if (stat.isSymbolicLink()) {
      const target = present(path, () => readlinkSync(systemPath(path), 'latin1')) as ByteString;
      return { type: 'symlink', ...common, target };
    }
    if (stat.isFIFO()) return { type: 'fifo', ...common };
    if (stat.isSocket()) return { type: 'socket', ...common };
    const type = stat.isBlockDevice() ? 'block' : 'character';
    // The C library's encoding of a device number is the kernel's for every number that the kernel has.
    const rdev = Number(stat.rdev);
    return this.#rules.skips(type, rdev) ? undefined : { type, ...common, rdev };
  }

  #file(path: ByteString, stat: BigIntStats): FileNode {
    const size = Number(stat.size);
    const node: FileNode = { type: 'file', ...this.#common(path, stat), size };
    if (size === 0) return node;
    if (size <= this.#options.inlineLimit) node.content = readWhole(path, stat);
    else {
      node.source = path;
      node.sourceStat = { size, mtimeNs: stat.mtimeNs, ino: stat.ino };
    }
    return node;
  }

  #common(path: ByteString, stat: BigIntStats) {
    const rules = this.#rules;
    return {
      mode: Number(stat.mode) & 0o7777,
      uid: rules.uid(Number(stat.uid)),
      gid: rules.gid(Number(stat.gid)),
      nlink: 1,
      mtime: rules.mtime(timeOf(stat.mtimeNs)),
      xattrs: this.#xattrs(path),
    };
  }

  #xattrs(path: ByteString): Map<ByteString, Uint8Array> {
    if (this.#options.xattrs === 'none') return new Map();
    const xattrs = present(path, () => readXattrs(path));
    for (const name of xattrs.keys()) if (!this.#rules.keepsXattr(name)) xattrs.delete(name);
    return xattrs;
  }
}

/** The content of a small file, which must still be as `stat` says when it has been read. */
function readWhole(path: ByteString, stat: BigIntStats): Uint8Array {
  const size = Number(stat.size);
  // What became a symlink or a pipe meanwhile must neither be followed nor waited for.
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const fd = present(path, () => openSync(systemPath(path), flags));
  try {
    // One byte more shows a file that has grown.
    const content = new Uint8Array(size + 1);
    const length = system(path, () => readSync(fd, content, 0, size + 1, null));
    const now = fstatSync(fd, { bigint: true });
    if (length !== size || now.ino !== stat.ino || now.mtimeNs !== stat.mtimeNs) throw changed(path);
    return content.slice(0, size);
  } finally {
    closeSync(fd);
  }
}

function timeOf(nanoseconds: bigint): Time {
  const part = nanoseconds % 1_000_000_000n;
  const fraction = part < 0n ? part + 1_000_000_000n : part;
  return { seconds: (nanoseconds - fraction) / 1_000_000_000n, nanoseconds: Number(fraction) };
}

/** A path for the calls of node:fs, which take text as UTF-8: bytes beyond ASCII must go as bytes. */
function systemPath(path: ByteString): string | Buffer {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII is meant
  return /^[\u0000-\u007f]*$/.test(path) ? path : toBytes(path);
}

/** Runs a call on something that a directory has just listed. */
function present<T>(path: ByteString, call: () => T): T {
  try {
    return call();
  } catch (error) {
    const gone = isSystemError(error, 'ENOENT') || (error instanceof OsupdError && error.code === 'not-found');
    // ELOOP: the file has become a symlink. ENOTDIR, EINVAL (readlink): it has become something else.
    if (gone || isSystemError(error, 'ELOOP') || isSystemError(error, 'ENOTDIR') || isSystemError(error, 'EINVAL'))
      throw changed(path, error);
    throw toOsupdError(error, toText(path));
  }
}

function system<T>(path: ByteString, call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw toOsupdError(error, toText(path));
  }
}

function changed(path: ByteString, cause?: unknown): OsupdError {
  return new OsupdError('changed-while-read', 'changed or vanished while the tree was read', {
    where: toText(path),
    remedy: 'read a tree that nothing writes to, such as a snapshot',
    cause,
  });
}
