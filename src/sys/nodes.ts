/** What Node lacks for names and inodes: special files, times to the nanosecond, and swapping two names in one step. */
import { type ByteString, toText } from '../core/bytes.ts';
import { callError, cString, cText, lastErrno, libc } from './libc.ts';

const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;
const RENAME_EXCHANGE = 2;

/**
 * Makes a device, pipe or socket. A character device with number 0 is an overlayfs whiteout.
 * @param mode file type and permission bits as in st_mode; the umask cuts the latter.
 * @param rdev the kernel's 32-bit encoding, as `DeviceNode.rdev`; 0 for pipes and sockets.
 * @throws OsupdError `io` where the name exists or this process may not.
 */
export function makeNode(path: ByteString, mode: number, rdev: number): void {
  if (libc().mknodat(AT_FDCWD, cString(path), mode, rdev) < 0)
    throw callError('making a special file', lastErrno(), { where: toText(path) });
}

/** Sets access and modification time, of a symlink too. @param nanoseconds 0 to 999,999,999. */
export function setTime(path: ByteString, time: { readonly seconds: bigint; readonly nanoseconds: number }): void {
  // Two times struct timespec: 64-bit seconds, 64-bit nanoseconds.
  const times = Buffer.alloc(32);
  for (const offset of [0, 16]) {
    times.writeBigInt64LE(time.seconds, offset);
    times.writeInt32LE(time.nanoseconds, offset + 8);
  }
  if (libc().utimensat(AT_FDCWD, cString(path), times, AT_SYMLINK_NOFOLLOW) < 0)
    throw callError('setting the times', lastErrno(), { where: toText(path) });
}

/**
 * Lets two names of one file system change places, in one step.
 * @throws OsupdError `not-found` when one is missing; `io` where the file system cannot (ext4, xfs, btrfs and tmpfs can).
 */
export function exchangeNames(one: string, other: string): void {
  if (libc().renameat2(AT_FDCWD, cText(one), AT_FDCWD, cText(other), RENAME_EXCHANGE) < 0)
    throw callError(`exchanging with ${other}`, lastErrno(), { where: one });
}
