/** The rules that names and xattrs of a tree keep, wherever it comes from. A rule's text is what error messages and facts say. */
import type { ByteString } from '../core/bytes.ts';
import { MAX_NAME_BYTES, MAX_XATTR_NAME_BYTES, MAX_XATTR_TOTAL_BYTES, MAX_XATTR_VALUE_BYTES } from '../core/limits.ts';

/** The rule that a file name breaks, if any. */
export function brokenNameRule(name: ByteString): string | undefined {
  if (name === '') return 'empty name';
  if (name === '.' || name === '..') return `name '${name}'`;
  if (name.length > MAX_NAME_BYTES) return 'name longer than 255';
  if (name.includes('/')) return 'name holds a slash';
  if (name.includes('\0')) return 'name holds a NUL';
  return undefined;
}

/** The rule that the xattrs of one node break, if any. */
export function brokenXattrRule(xattrs: ReadonlyMap<ByteString, Uint8Array>): string | undefined {
  // Counted as composefs does: a header, and an entry's fields and padding at their worst.
  let total = 12;
  for (const [name, value] of xattrs) {
    if (name === '') return 'empty xattr key';
    if (name.length > MAX_XATTR_NAME_BYTES) return 'xattr key longer than 255';
    if (name.includes('\0')) return 'xattr key holds a NUL';
    if (value.length > MAX_XATTR_VALUE_BYTES) return 'xattr value longer than 65535';
    total += 7 + name.length + value.length;
  }
  return xattrs.size > 0 && total > MAX_XATTR_TOTAL_BYTES ? 'xattrs of one inode too large' : undefined;
}
