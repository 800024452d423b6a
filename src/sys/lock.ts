/** Locks between processes through flock(2): the kernel releases them when the holder dies, however it dies. */
import { closeSync, constants, fstatSync, ftruncateSync, openSync, readFileSync, statSync, writeSync } from 'node:fs';
import { isSystemError, OsupdError, toOsupdError } from '../core/errors.ts';
import { callError, lastErrno, libc } from './libc.ts';
import { isAlive } from './processes.ts';

const SHARED = 1;
const EXCLUSIVE = 2;
const NONBLOCKING = 4;

/** A lock that is held. Release it once; a second release does nothing. */
export interface Lock extends Disposable {
  release(): void;
}

/**
 * Takes a lock, or fails at once. The file is created (mode 0600) and stays; it holds the pid of the last holder, for the
 * message. Two locks of one process exclude each other as those of two processes do.
 * @throws OsupdError `busy` when another holder has it; `not-found`, `io` when the file cannot be opened.
 */
export function acquireLock(path: string, mode: 'shared' | 'exclusive'): Lock {
  for (;;) {
    const { fd, writable } = openLockFile(path, mode);
    try {
      if (libc().flock(fd, (mode === 'shared' ? SHARED : EXCLUSIVE) | NONBLOCKING) < 0) {
        const errno = lastErrno();
        if (errno !== 'EAGAIN') throw callError('flock', errno, { where: path });
        throw busy(path, fd);
      }
      if (isStillNamed(path, fd)) {
        if (writable) writePid(fd);
        return heldLock(fd);
      }
    } catch (error) {
      closeSync(fd);
      throw error;
    }
    // Somebody removed the file between open and flock: a lock on it would exclude nobody.
    closeSync(fd);
  }
}

function openLockFile(path: string, mode: 'shared' | 'exclusive'): { fd: number; writable: boolean } {
  try {
    return { fd: openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600), writable: true };
  } catch (error) {
    // A reader of a store that it cannot write to still keeps writers away. On a read-only file system all are readers.
    const readOnly = isSystemError(error, 'EROFS') || (mode === 'shared' && isSystemError(error, 'EACCES'));
    if (!readOnly) throw toOsupdError(error, path);
  }
  try {
    return { fd: openSync(path, 'r'), writable: false };
  } catch (error) {
    throw toOsupdError(error, path);
  }
}

function isStillNamed(path: string, fd: number): boolean {
  const open = fstatSync(fd, { bigint: true });
  const named = statSync(path, { bigint: true, throwIfNoEntry: false });
  return named !== undefined && named.ino === open.ino && named.dev === open.dev;
}

function writePid(fd: number): void {
  ftruncateSync(fd, 0);
  writeSync(fd, `${process.pid}\n`, 0);
}

function heldLock(fd: number): Lock {
  let held = true;
  const release = () => {
    if (held) closeSync(fd);
    held = false;
  };
  return { release, [Symbol.dispose]: release };
}

function busy(path: string, fd: number): OsupdError {
  const pid = Number(readFileSync(fd, 'latin1').trim());
  // The number may be stale (a shared holder that has left), or of another pid namespace: say it only if it can be right.
  const known = Number.isSafeInteger(pid) && pid > 0 && isAlive(pid);
  return new OsupdError('busy', known ? `locked by process ${pid}` : 'locked by another process', {
    where: path,
    remedy: 'wait until it has finished, then try again',
    facts: known ? { pid } : {},
  });
}
