/** What a tree must keep to be written as an image. */
import type { ByteString } from '../core/bytes.ts';
import { isDigest } from '../core/digest.ts';
import { MAX_FILE_BYTES, MAX_INLINE_BYTES, MAX_PAYLOAD_BYTES, MAX_SYMLINK_BYTES } from '../core/limits.ts';
import { brokenNameRule, brokenXattrRule } from '../tree/rules.ts';
import type { Entry, FileNode, TreeNode } from '../tree/tree.ts';

const MAX_U32 = 2 ** 32 - 1;

function fits(value: number, limit: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= limit;
}

/** The rule that an entry of a directory breaks, if any. */
export function brokenEntryRule(name: ByteString, entry: Entry): string | undefined {
  if (entry.type === 'hardlink' && (entry.target.type as string) === 'directory') return 'hard link to a directory';
  return brokenNameRule(name);
}

/** The rule that a node breaks, if any. */
export function brokenNodeRule(node: TreeNode): string | undefined {
  if (!fits(node.mode, 0o7777)) return 'mode has unknown bits';
  if (!fits(node.uid, MAX_U32) || !fits(node.gid, MAX_U32)) return 'owner does not fit in 32 bits';
  if (!fits(node.nlink, MAX_U32)) return 'nlink does not fit in 32 bits';
  if (BigInt.asIntN(64, node.mtime.seconds) !== node.mtime.seconds) return 'mtime does not fit in 64 bits';
  if (!fits(node.mtime.nanoseconds, 999_999_999)) return 'mtime has more than 999999999 nanoseconds';
  const broken = node.xattrs.size === 0 ? undefined : brokenXattrRule(node.xattrs);
  if (broken !== undefined) return broken;
  switch (node.type) {
    case 'directory':
      return node.opaque === true ? 'an opaque directory of a layer; apply the layer to its base first' : undefined;
    case 'file':
      return brokenFileRule(node);
    case 'symlink':
      if (node.target === '') return 'empty symlink target';
      if (node.target.length > MAX_SYMLINK_BYTES) return 'symlink target of 4096 bytes or more';
      return node.target.includes('\0') ? 'symlink target holds a NUL' : undefined;
    case 'character':
    case 'block':
      return fits(node.rdev, MAX_U32) ? undefined : 'rdev does not fit in 32 bits';
    default:
      return undefined;
  }
}

function brokenFileRule(file: FileNode): string | undefined {
  if (!fits(file.size, MAX_FILE_BYTES)) return 'file larger than the format can hold';
  if (file.size === 0) return undefined;
  if (file.content !== undefined) {
    if (file.content.length !== file.size) return 'content length is not the size';
    return file.size > MAX_INLINE_BYTES ? 'inline content longer than 5000 bytes' : undefined;
  }
  if (file.digest !== undefined && !isDigest(file.digest)) return 'digest is not 64 hex digits';
  if (file.payload === undefined) return undefined;
  if (file.payload.length > MAX_PAYLOAD_BYTES) return 'payload of 4096 bytes or more';
  return file.payload.includes('\0') ? 'payload holds a NUL' : undefined;
}
