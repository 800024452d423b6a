/** Lists what is in an image's tree, for people: names as `composefs-info ls` prints them, and sums. */
import { type ByteString, toText } from '../core/bytes.ts';
import { escapeField, escapePath } from '../tree/dump-escape.ts';
import { nodeOf, type Tree, type TreeNode, walk } from '../tree/tree.ts';

/** A line for each entry below the root, as `composefs-info ls` prints it: directories end in `/`, then the target or the object. */
export function* listTree(tree: Tree): Generator<string> {
  const seen = new Set<TreeNode>();
  for (const { path, entry } of walk(tree)) {
    if (path === '/') continue;
    const node = nodeOf(entry);
    // A further name of a file is listed without what it leads to.
    const isFirst = node.type === 'directory' || !seen.has(node);
    if (node.type !== 'directory') seen.add(node);
    yield `${escapePath(path)}${isFirst ? listedTarget(node) : ''}\n`;
  }
}

function listedTarget(node: TreeNode): string {
  switch (node.type) {
    case 'directory':
      return '/\t';
    case 'symlink':
      return `\t-> ${escapeField(node.target)}`;
    case 'file':
      return node.size > 0 && node.content === undefined && node.payload !== undefined
        ? `\t@ ${escapeField(node.payload)}`
        : '';
    default:
      return '';
  }
}

/** Paths of all objects that a tree names, each once, in byte order. */
export function objectPaths(tree: Tree): ByteString[] {
  const paths = new Set<ByteString>();
  for (const { entry } of walk(tree)) {
    if (entry.type === 'file' && entry.size > 0 && entry.content === undefined && entry.payload !== undefined)
      paths.add(entry.payload);
  }
  return [...paths].sort();
}

export interface TreeSummary {
  /** Names in the tree, the root among them; a file with several counts for each. */
  readonly names: number;
  readonly directories: number;
  readonly files: number;
  readonly symlinks: number;
  readonly devices: number;
  readonly pipesAndSockets: number;
  readonly whiteouts: number;
  /** Further names of files that have several. */
  readonly hardLinks: number;
  /** Files whose content is in the image, and its bytes. */
  readonly inline: { readonly files: number; readonly bytes: number };
  /** Objects that the tree names, each once, and their bytes. */
  readonly objects: { readonly count: number; readonly bytes: number };
  /** Bytes of all files, each counted once. */
  readonly bytes: number;
}

export function summarizeTree(tree: Tree): TreeSummary {
  const counts: Record<TreeNode['type'], number> = {
    directory: 0,
    file: 0,
    symlink: 0,
    character: 0,
    block: 0,
    fifo: 0,
    socket: 0,
  };
  let hardLinks = 0;
  let whiteouts = 0;
  let inlineFiles = 0;
  let inlineBytes = 0;
  let bytes = 0;
  const objects = new Map<string, number>();
  for (const { entry } of walk(tree)) {
    if (entry.type === 'hardlink') {
      hardLinks++;
      continue;
    }
    counts[entry.type]++;
    if (entry.type === 'character' && entry.rdev === 0) whiteouts++;
    if (entry.type !== 'file') continue;
    bytes += entry.size;
    if (entry.content !== undefined) {
      inlineFiles++;
      inlineBytes += entry.size;
    } else if (entry.size > 0) {
      objects.set(entry.digest ?? `path ${entry.payload}`, entry.size);
    }
  }
  const inodes = Object.values(counts).reduce((sum, count) => sum + count, 0);
  return {
    names: inodes + hardLinks,
    directories: counts.directory,
    files: counts.file,
    symlinks: counts.symlink,
    devices: counts.character + counts.block - whiteouts,
    pipesAndSockets: counts.fifo + counts.socket,
    whiteouts,
    hardLinks,
    inline: { files: inlineFiles, bytes: inlineBytes },
    objects: { count: objects.size, bytes: [...objects.values()].reduce((sum, size) => sum + size, 0) },
    bytes,
  };
}

/** An entry for programs. Paths are text; bytes that are not UTF-8 are escaped. */
export interface PlainEntry {
  readonly path: string;
  readonly type: TreeNode['type'] | 'hardlink';
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
  readonly size?: number;
  readonly target?: string;
  readonly digest?: string;
}

export function* plainEntries(tree: Tree): Generator<PlainEntry> {
  for (const { path, entry } of walk(tree)) {
    const node = nodeOf(entry);
    const { mode, uid, gid } = node;
    yield {
      path: toText(path),
      type: entry.type,
      mode: mode.toString(8).padStart(4, '0'),
      uid,
      gid,
      ...(node.type === 'file' ? { size: node.size } : {}),
      ...(node.type === 'file' && node.digest !== undefined ? { digest: node.digest } : {}),
      ...(node.type === 'symlink' ? { target: toText(node.target) } : {}),
    };
  }
}
