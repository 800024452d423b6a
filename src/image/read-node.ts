/** Turns an inode and its xattrs, as an image stores them, into a node of a tree: the reverse of what composefs adds for overlayfs. */
import { type ByteString, fromBytes } from '../core/bytes.ts';
import { type Digest, digestFromBytes } from '../core/digest.ts';
import { MAX_PAYLOAD_BYTES } from '../core/limits.ts';
import { compareTimes, type Time, type TreeNode } from '../tree/tree.ts';
import { type FormatVersion, LAYOUT, METACOPY_BYTES, METACOPY_HEADER, OVERLAY } from './format.ts';
import type { Damage, StoredInode } from './read-inode.ts';

/** Names as the tree has them, without the escape that an image adds. */
const WHITEOUT = OVERLAY.whiteout.map(unescapeName);
const WHITEOUTS = OVERLAY.whiteouts.map(unescapeName);
const OPAQUE_WITH_WHITEOUTS = OVERLAY.opaqueWithWhiteouts.map(unescapeName);

function unescapeName(name: ByteString): ByteString {
  return name.startsWith(OVERLAY.escapedPrefix) ? OVERLAY.prefix + name.slice(OVERLAY.escapedPrefix.length) : name;
}

type Xattrs = Map<ByteString, Uint8Array>;

export interface NodeSource {
  readonly inode: StoredInode;
  /** By stored name. */
  readonly xattrs: Xattrs;
  readonly isRoot: boolean;
  /** True in a directory that is marked to hold whiteouts. */
  readonly inMarked: boolean;
  /** Bytes of a symlink's target or of an inline file. */
  readonly content: Uint8Array;
  /** The image's smallest mtime. */
  readonly buildTime: Time;
}

/** @throws what `damage` makes, for xattrs that composefs does not write. */
export function makeNode(source: NodeSource, damage: Damage): TreeNode {
  const { inode, content } = source;
  const { type, mode, uid, gid, nlink, mtime } = inode;
  const { xattrs, digest, payload } = unescapeXattrs(source, damage);
  const common = { mode, uid, gid, nlink, mtime, xattrs };
  switch (type) {
    case 'directory':
      return { type, ...common, children: new Map() };
    case 'symlink': {
      const target = fromBytes(content);
      if (target.includes('\0')) throw damage('a symlink target with a NUL', inode.at);
      return { type, ...common, target };
    }
    case 'file':
      if (source.inMarked && inode.size === 0 && isEmpty(xattrs, WHITEOUT)) {
        for (const name of WHITEOUT) xattrs.delete(name);
        return { type: 'character', ...common, rdev: 0 };
      }
      if (inode.layout === LAYOUT.chunks)
        return {
          type,
          ...common,
          size: inode.size,
          ...(digest === undefined ? {} : { digest }),
          ...(payload === undefined ? {} : { payload }),
        };
      return { type, ...common, size: inode.size, ...(inode.size === 0 ? {} : { content }) };
    case 'character':
    case 'block':
      return { type, ...common, rdev: inode.union, ...sizeHint(source) };
    default:
      return { type, ...common, ...sizeHint(source) };
  }
}

/**
 * A device or pipe has no size in an image, but one of 2^32 or more in the source makes its inode extended; where nothing else does, that
 * is what the tree must say to give the same image again.
 */
function sizeHint({ inode, buildTime }: NodeSource): { size?: number } {
  const { extended, mtime, nlink, uid, gid } = inode;
  const isNeeded = compareTimes(mtime, buildTime) !== 0 || Math.max(nlink, uid, gid) > 0xffff;
  return extended && !isNeeded ? { size: 2 ** 32 } : {};
}

/** Sorts an inode's stored xattrs into those of the tree and what the image says of an object. */
function unescapeXattrs(
  { inode, xattrs: stored, isRoot }: NodeSource,
  damage: Damage,
): { xattrs: Xattrs; digest: Digest | undefined; payload: ByteString | undefined } {
  const isObject = inode.type === 'file' && inode.layout === LAYOUT.chunks;
  const xattrs: Xattrs = new Map();
  let isMetacopy = false;
  let isOpaque = false;
  let digest: Digest | undefined;
  let payload: ByteString | undefined;
  for (const [name, value] of stored) {
    if (!name.startsWith(OVERLAY.prefix) || name.startsWith(OVERLAY.escapedPrefix)) {
      xattrs.set(unescapeName(name), value);
    } else if (name === OVERLAY.metacopy && isObject) {
      isMetacopy = true;
      digest = readMetacopy(value, inode, damage);
    } else if (name === OVERLAY.redirect && isObject) {
      payload = readRedirect(value, inode, damage);
    } else if (name === OVERLAY.opaque && isRoot && fromBytes(value) === 'y') {
      isOpaque = true;
    } else {
      throw damage('an overlay xattr that composefs does not write', inode.xattrAt);
    }
  }
  if (isObject && !isMetacopy) throw damage('a file without content is not marked as an object', inode.at);
  if (isRoot && !isOpaque) throw damage('the root is not marked opaque', inode.at);
  return { xattrs, digest, payload };
}

function readMetacopy(value: Uint8Array, inode: StoredInode, damage: Damage): Digest | undefined {
  if (value.length === 0) return undefined;
  if (value.length !== METACOPY_BYTES || METACOPY_HEADER.some((byte, at) => value[at] !== byte))
    throw damage('a metacopy mark of unknown form', inode.xattrAt);
  return digestFromBytes(value.subarray(METACOPY_HEADER.length));
}

function readRedirect(value: Uint8Array, inode: StoredInode, damage: Damage): ByteString {
  const path = fromBytes(value);
  if (!path.startsWith('/') || path.length < 2 || path.length > MAX_PAYLOAD_BYTES + 1 || path.includes('\0'))
    throw damage('a path of an object that is not allowed', inode.xattrAt);
  return path.slice(1);
}

function isEmpty(xattrs: Xattrs, names: readonly ByteString[]): boolean {
  return names.every((name) => xattrs.get(name)?.length === 0);
}

/** True where a directory has all marks that composefs gives one that holds whiteouts. */
export function isMarked(xattrs: Xattrs, version: FormatVersion): boolean {
  return (
    isEmpty(xattrs, WHITEOUTS) &&
    (version === 0 ||
      OPAQUE_WITH_WHITEOUTS.every((name) => {
        const value = xattrs.get(name);
        return value !== undefined && fromBytes(value) === 'x';
      }))
  );
}

/** Takes away the marks that encoding the tree adds again. */
export function removeMarks(xattrs: Xattrs): void {
  for (const name of WHITEOUTS) xattrs.delete(name);
}
