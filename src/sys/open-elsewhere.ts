/**
 * Asks the kernel whether anybody else has a file open, mounts included: a write lease (fcntl(2), F_SETLEASE) is given only
 * when no other open file description of the inode exists. A mount of the file, as EROFS makes it, and a loop device
 * each hold one, in every mount namespace, also long after a lazy unmount.
 */
import { closeSync, constants, openSync } from 'node:fs';
import { isSystemError, toOsupdError } from '../core/errors.ts';
import { lastErrno, libc } from './libc.ts';

const F_SETSIG = 10;
const F_SETLEASE = 1024;
const F_WRLCK = 1;
const F_UNLCK = 2;
/** Ignored by default, unlike SIGIO, which the kernel would send when somebody opens the file at that very moment. */
const SIGURG = 23;

/**
 * True when another open file description of the file exists, in this process or any other, or a mount of it; undefined
 * when the kernel cannot tell (no such file system support, or neither owner of the file nor root).
 * @throws OsupdError `not-found`, `io` when the file cannot be opened.
 */
export function isOpenElsewhere(path: string): boolean | undefined {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    // Somebody else asks the same question at this moment, and so has the file open.
    if (isSystemError(error, 'EAGAIN')) return true;
    throw toOsupdError(error, path);
  }
  try {
    const c = libc();
    if (c.fcntl(fd, F_SETSIG, SIGURG) < 0) return undefined;
    if (c.fcntl(fd, F_SETLEASE, F_WRLCK) < 0) return lastErrno() === 'EAGAIN' ? true : undefined;
    c.fcntl(fd, F_SETLEASE, F_UNLCK);
    return false;
  } finally {
    closeSync(fd);
  }
}
