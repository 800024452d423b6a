/** What Node lacks for files: sharing blocks between two files, and free space as this process may use it. */
import { statfsSync } from 'node:fs';
import { toOsupdError } from '../core/errors.ts';
import { callError, lastErrno, libc } from './libc.ts';

/** FICLONE = _IOW(0x94, 9, int). */
const FICLONE = 0x40049409;

/** The file system cannot, the two files are on different ones, or one of them is of a kind that has no blocks to share. */
const CANNOT_SHARE = new Set(['EOPNOTSUPP', 'ENOTTY', 'EXDEV', 'EINVAL', 'EPERM', 'ETXTBSY', 'ENOSYS']);

/**
 * Makes the target file share all blocks of the source (a copy that costs no space); false where that is not possible
 * and the caller has to copy.
 * @param sourceFd open for reading. @param targetFd open for writing, on the same file system.
 * @throws OsupdError `no-space`, `io`.
 */
export function reflink(sourceFd: number, targetFd: number): boolean {
  if (libc().ioctlNumber(targetFd, FICLONE, sourceFd) === 0) return true;
  const errno = lastErrno();
  if (CANNOT_SHARE.has(errno)) return false;
  throw callError('reflink', errno);
}

/**
 * What this process may still write to the file system of `path`. Inodes are Infinity where the file system does not
 * count them (btrfs).
 */
export function freeSpace(path: string): { bytes: number; inodes: number } {
  try {
    const space = statfsSync(path);
    return { bytes: space.bavail * space.bsize, inodes: space.files === 0 ? Number.POSITIVE_INFINITY : space.ffree };
  } catch (error) {
    throw toOsupdError(error, path);
  }
}
