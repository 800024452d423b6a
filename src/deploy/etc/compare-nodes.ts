/**
 * Whether two nodes are the same for a merge of /etc: type, content, mode, owner and extended attributes. Times do not count: a file
 * that was only touched is no change. The names of a node do not count either.
 */
import type { ByteString } from '../../core/bytes.ts';
import type { Digest } from '../../core/digest.ts';
import { fsverityDigest } from '../../objects/fsverity.ts';
import { type DirectoryNode, type FileNode, nodeOf, type TreeNode } from '../../tree/tree.ts';

/** The digest of a file's content; undefined for one that names no digest. */
function contentDigest(file: FileNode): Digest | undefined {
  if (file.size === 0) return fsverityDigest(new Uint8Array());
  return file.content === undefined ? file.digest : fsverityDigest(file.content);
}

/** Content of files, target of symlinks, number of devices; false for two types. */
export function sameContent(a: TreeNode, b: TreeNode): boolean {
  if (a.type !== b.type) return false;
  if (a.type === 'file' && b.type === 'file') {
    if (a.size !== b.size) return false;
    const digest = contentDigest(a);
    return digest === undefined ? a.payload !== undefined && a.payload === b.payload : digest === contentDigest(b);
  }
  if (a.type === 'symlink' && b.type === 'symlink') return a.target === b.target;
  return 'rdev' in a && 'rdev' in b ? a.rdev === b.rdev : true;
}

function sameValue(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === undefined || b === undefined ? a === b : Buffer.compare(a, b) === 0;
}

/** A part of a node's metadata that is merged for itself. */
interface MetadataField {
  readonly name: string;
  same(a: TreeNode, b: TreeNode): boolean;
  /** Gives a node the value of another. */
  copy(from: TreeNode, to: TreeNode): void;
}

const OWNER: MetadataField = {
  name: 'owner',
  same: (a, b) => a.uid === b.uid && a.gid === b.gid,
  copy: (from, to) => {
    to.uid = from.uid;
    to.gid = from.gid;
  },
};

/** Of symlinks it means nothing. */
const MODE: MetadataField = {
  name: 'mode',
  same: (a, b) => a.mode === b.mode || a.type === 'symlink',
  copy: (from, to) => {
    to.mode = from.mode;
  },
};

function xattrField(name: ByteString): MetadataField {
  return {
    name,
    same: (a, b) => sameValue(a.xattrs.get(name), b.xattrs.get(name)),
    copy: (from, to) => {
      const value = from.xattrs.get(name);
      if (value === undefined) to.xattrs.delete(name);
      else to.xattrs.set(name, value);
    },
  };
}

/** All fields that some of the nodes have. */
export function metadataFields(...nodes: readonly (TreeNode | undefined)[]): MetadataField[] {
  const names = new Set(nodes.flatMap((node) => [...(node?.xattrs.keys() ?? [])]));
  return [MODE, OWNER, ...[...names].sort().map(xattrField)];
}

export function sameMetadata(a: TreeNode, b: TreeNode): boolean {
  return metadataFields(a, b).every((field) => field.same(a, b));
}

/** The same with everything below. Two that are missing are the same. */
export function sameTree(a: TreeNode | undefined, b: TreeNode | undefined): boolean {
  const pairs: [TreeNode | undefined, TreeNode | undefined][] = [[a, b]];
  for (const [one, other] of pairs) {
    if (one === other) continue;
    if (one === undefined || other === undefined) return false;
    if (!sameContent(one, other) || !sameMetadata(one, other)) return false;
    if (one.type !== 'directory' || other.type !== 'directory') continue;
    for (const name of new Set([...one.children.keys(), ...other.children.keys()]))
      pairs.push([childOf(one, name), childOf(other, name)]);
  }
  return true;
}

/** What a directory has under a name, if it is one. */
export function childOf(node: TreeNode | undefined, name: ByteString): TreeNode | undefined {
  const entry = node?.type === 'directory' ? node.children.get(name) : undefined;
  return entry && nodeOf(entry);
}

export function asDirectory(node: TreeNode | undefined): DirectoryNode | undefined {
  return node?.type === 'directory' ? node : undefined;
}
