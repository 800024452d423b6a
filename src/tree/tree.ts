/**
 * The tree model: one file system root in memory. Names, targets and xattr names are byte strings (core/bytes.ts).
 *
 * A file with several names is one node under its primary name; every other name is a {@link HardLink} that points to the
 * node. Which name is primary matters: a composefs image places the inode where the primary name is.
 */
import type { ByteString } from '../core/bytes.ts';
import type { Digest } from '../core/digest.ts';

export interface Time {
  /** Seconds since the epoch; may be negative. 64 bits wide, as files and dumps have it. */
  readonly seconds: bigint;
  readonly nanoseconds: number;
}

interface Common {
  /** Permission bits with setuid, setgid and sticky: 0..07777. The file type is the node's `type`. */
  mode: number;
  uid: number;
  gid: number;
  /** Link count as the source says it. Readers of directories and tars set the number of names in the tree; directories: see image/. */
  nlink: number;
  mtime: Time;
  /** Values by full name (`security.capability`); no name twice. */
  xattrs: Map<ByteString, Uint8Array>;
}

export interface DirectoryNode extends Common {
  readonly type: 'directory';
  /** Children by name, in no particular order; sort with {@link sortedChildren}. */
  readonly children: Map<ByteString, Entry>;
  /** True where a layer says that nothing below it shows through (OCI opaque directory). Undefined or false in a flat tree. */
  opaque?: boolean;
  /** True where an archive names things below the directory but not the directory: what a lower layer says of it stays. */
  implied?: boolean;
}

/** What a file looked like when a reader met it; whoever reads its content later can tell whether it changed. */
export interface SourceStat {
  readonly size: number;
  readonly mtimeNs: bigint;
  readonly ino: bigint;
}

/**
 * A regular file. Its content is one of: empty (`size` 0), `content` (kept inline in the image), or an object in a pool
 * named by `digest`. Until the content is in a pool, `source` says where it is.
 */
export interface FileNode extends Common {
  readonly type: 'file';
  size: number;
  content?: Uint8Array;
  digest?: Digest;
  /** Path of the object as composefs' PAYLOAD spells it; `objectName(digest)` (`ab/cdef…`) unless a dump says otherwise. */
  payload?: ByteString;
  /** Absolute path of the file on this machine that holds the content, while it is not in a pool. */
  source?: ByteString;
  /** Comes with `source`. */
  sourceStat?: SourceStat;
}

export interface SymlinkNode extends Common {
  readonly type: 'symlink';
  readonly target: ByteString;
}

export interface DeviceNode extends Common {
  /** A character device with `rdev` 0 is an overlayfs whiteout. */
  readonly type: 'character' | 'block';
  /** st_rdev as a dump prints it: the kernel's 32-bit encoding (minor low 8 bits, major 12 bits, minor high 12 bits). */
  readonly rdev: number;
  /** Sizes of devices and pipes mean nothing, but a dump may give one, and it decides the inode's form in the image. */
  size?: number;
}

export interface PipeNode extends Common {
  readonly type: 'fifo' | 'socket';
  size?: number;
}

export type TreeNode = DirectoryNode | FileNode | SymlinkNode | DeviceNode | PipeNode;

/** One more name of a node that has its primary name elsewhere in the tree. Never of a directory. */
export interface HardLink {
  readonly type: 'hardlink';
  readonly target: Exclude<TreeNode, DirectoryNode>;
}

export type Entry = TreeNode | HardLink;

export interface Tree {
  readonly root: DirectoryNode;
}

/** File type bits of st_mode for each node type. */
export const TYPE_BITS = {
  fifo: 0o010000,
  character: 0o020000,
  directory: 0o040000,
  block: 0o060000,
  file: 0o100000,
  symlink: 0o120000,
  socket: 0o140000,
} as const;

export const EPOCH: Time = { seconds: 0n, nanoseconds: 0 };

export function compareTimes(a: Time, b: Time): number {
  return a.seconds < b.seconds ? -1 : a.seconds > b.seconds ? 1 : a.nanoseconds - b.nanoseconds;
}

/** The entries of a directory in byte order of their names. */
export function sortedChildren(directory: DirectoryNode): [ByteString, Entry][] {
  return [...directory.children].sort((a, b) => (a[0] < b[0] ? -1 : 1));
}

/** The node behind an entry: itself, or what a hard link points to. */
export function nodeOf(entry: Entry): TreeNode {
  return entry.type === 'hardlink' ? entry.target : entry;
}

/** One step of {@link walk}: `path` starts with `/`; the root is `/`. */
export interface Visit {
  readonly path: ByteString;
  readonly entry: Entry;
}

/** All entries, parents before children, children in byte order (depth-first). Uses no recursion, so depth is no danger. */
export function* walk(tree: Tree): Generator<Visit> {
  yield { path: '/', entry: tree.root };
  const stack: { prefix: ByteString; entries: [ByteString, Entry][]; next: number }[] = [
    { prefix: '/', entries: sortedChildren(tree.root), next: 0 },
  ];
  for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
    const item = top.entries[top.next++];
    if (item === undefined) {
      stack.pop();
      continue;
    }
    const [name, entry] = item;
    const path = top.prefix + name;
    yield { path, entry };
    if (entry.type === 'directory') stack.push({ prefix: `${path}/`, entries: sortedChildren(entry), next: 0 });
  }
}
