/** Disks: their size and their blocks. ioctl numbers of <linux/fs.h>. */
import { callError, lastErrno, libc } from './libc.ts';

/** BLKGETSIZE64 = _IOR(0x12, 114, size_t): bytes as u64. */
const SIZE = 0x80081272;
/** BLKSSZGET = _IO(0x12, 104): int. */
const BLOCK_BYTES = 0x1268;

export interface DiskGeometry {
  /** Size of the disk in bytes. */
  readonly bytes: number;
  /** Size of a logical block in bytes, in which partition tables count: 512, or 4096. */
  readonly blockBytes: number;
}

/** @param fd a block device, open for reading. @param where its name for messages. */
export function diskGeometry(fd: number, where: string): DiskGeometry {
  const answer = Buffer.alloc(8);
  if (libc().ioctl(fd, SIZE, answer) < 0) throw callError('asking for the size of the disk', lastErrno(), { where });
  const bytes = Number(answer.readBigUInt64LE());
  if (libc().ioctl(fd, BLOCK_BYTES, answer) < 0)
    throw callError('asking for the blocks of the disk', lastErrno(), { where });
  return { bytes, blockBytes: answer.readInt32LE() };
}
