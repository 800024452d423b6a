/** Extended attributes by path; symlinks are never followed. Paths and names are byte strings. */
import { type ByteString, toText } from '../core/bytes.ts';
import { OsupdError } from '../core/errors.ts';
import { callError, cString, lastErrno, libc } from './libc.ts';

/** Linux gives no list and no value longer than this (XATTR_LIST_MAX, XATTR_SIZE_MAX). */
const KERNEL_LIMIT = 65536;

// The kernel allocates as much as it is offered, so nearly all calls offer little: 880,000 listings a second in place of
// 590,000. Both buffers serve all calls: a tree has tens of thousands of files, most without any attribute.
const small = Buffer.allocUnsafeSlow(4096);
let large: Buffer | undefined;

/**
 * All attributes of a file that this process may see; empty where the file system has none. An attribute that vanishes
 * between the listing and the reading is left out, as if it had been gone before.
 * @throws OsupdError `not-found`, `io` (with `facts.errno`), `limit-exceeded` when the names take more than Linux can list.
 */
export function readXattrs(path: ByteString): Map<ByteString, Uint8Array> {
  const attributes = new Map<ByteString, Uint8Array>();
  const c = libc();
  const cPath = cString(path);
  const list = fill((buffer) => c.llistxattr(cPath, buffer, buffer.length));
  if (typeof list === 'string') {
    if (list === 'EOPNOTSUPP') return attributes;
    throw xattrError('listing the extended attributes', list, path);
  }
  if (list.length === 0) return attributes;
  for (const name of list.toString('latin1', 0, list.length - 1).split('\0')) {
    const cName = cString(name);
    const value = fill((buffer) => c.lgetxattr(cPath, cName, buffer, buffer.length));
    if (typeof value === 'string') {
      if (value === 'ENODATA') continue;
      throw xattrError(`reading the extended attribute ${toText(name)}`, value, path);
    }
    attributes.set(name, new Uint8Array(value));
  }
  return attributes;
}

/** What the call put into a buffer (a view of it), or the name of its error. */
function fill(call: (buffer: Buffer) => number): Buffer | string {
  const length = call(small);
  if (length >= 0) return small.subarray(0, length);
  const errno = lastErrno();
  if (errno !== 'ERANGE') return errno;
  large ??= Buffer.allocUnsafeSlow(KERNEL_LIMIT);
  const longer = call(large);
  return longer >= 0 ? large.subarray(0, longer) : lastErrno();
}

/**
 * Sets one attribute, new or not.
 * @throws OsupdError `unsupported` where the file system has no such attributes, `no-space`, `not-found`, `io`.
 */
export function setXattr(path: ByteString, name: ByteString, value: Uint8Array): void {
  if (libc().lsetxattr(cString(path), cString(name), value, value.length, 0) < 0)
    throw xattrError(`setting the extended attribute ${toText(name)}`, lastErrno(), path);
}

function xattrError(call: string, errno: string, path: ByteString): OsupdError {
  const where = toText(path);
  if (errno === 'E2BIG' || errno === 'ERANGE')
    return new OsupdError('limit-exceeded', `${call}: more extended attributes than Linux allows at once (${errno})`, {
      where,
      facts: { errno, limit: KERNEL_LIMIT },
    });
  return callError(call, errno, { where });
}
