/**
 * fs-verity of the kernel: makes a file read-only for ever and lets the kernel check every block that is read.
 * Documentation/filesystems/fsverity.rst of the Linux sources; parameters as composefs uses them: SHA-256, 4096-byte
 * blocks, no salt.
 */
import { type Digest, digestFromBytes } from '../core/digest.ts';
import { callError, lastErrno, libc } from './libc.ts';

/** FS_IOC_ENABLE_VERITY = _IOW('f', 133, struct fsverity_enable_arg). */
const ENABLE = 0x40806685;
/** FS_IOC_MEASURE_VERITY = _IOWR('f', 134, struct fsverity_digest). */
const MEASURE = 0xc0046686;
const SHA256 = 1;
const BLOCK_BYTES = 4096;

/** struct fsverity_enable_arg: version 1, the algorithm and block size; salt and signature stay empty. */
const enableArgument = Buffer.alloc(128);
enableArgument.writeUInt32LE(1, 0);
enableArgument.writeUInt32LE(SHA256, 4);
enableArgument.writeUInt32LE(BLOCK_BYTES, 8);

/** struct fsverity_digest: u16 algorithm, u16 size (in: room; out: used), then the digest, at most 64 bytes. */
const measureArgument = Buffer.alloc(4 + 64);

/**
 * ENOTTY, EOPNOTSUPP: the file system or kernel has no fs-verity. EINVAL: ext4 with blocks smaller than 4096 bytes.
 * EROFS: a read-only file system.
 */
const UNSUPPORTED = new Set(['ENOTTY', 'EOPNOTSUPP', 'EINVAL', 'EROFS']);

/** ETXTBSY and EBUSY pass by: another process has inherited a writable descriptor for a moment, or enables the same file. */
const BUSY = new Set(['ETXTBSY', 'EBUSY', 'EINTR']);
const ATTEMPTS = 10;
const PAUSE_MS = 20;

/**
 * Enables fs-verity on a file that is open read-only, with no writable descriptor left anywhere.
 * @throws OsupdError `io` with `facts.errno`: `ETXTBSY` when somebody keeps the file open for writing.
 */
export function enableVerity(fd: number): 'enabled' | 'already-enabled' | 'unsupported' {
  for (let attempt = 1; ; attempt++) {
    if (libc().ioctl(fd, ENABLE, enableArgument) === 0) return 'enabled';
    const errno = lastErrno();
    if (errno === 'EEXIST') return 'already-enabled';
    if (UNSUPPORTED.has(errno)) return 'unsupported';
    if (!BUSY.has(errno) || attempt === ATTEMPTS) throw callError('enabling fs-verity', errno);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS);
  }
}

/**
 * The digest that the kernel enforces for an open file; undefined when the file has no fs-verity with the parameters
 * above, or the file system cannot have it.
 * @throws OsupdError `io` with `facts.errno`.
 */
export function measureVerity(fd: number): Digest | undefined {
  measureArgument.writeUInt16LE(measureArgument.length - 4, 2);
  if (libc().ioctl(fd, MEASURE, measureArgument) === 0) {
    const size = measureArgument.readUInt16LE(2);
    if (measureArgument.readUInt16LE(0) !== SHA256 || size !== 32) return undefined;
    return digestFromBytes(measureArgument.subarray(4, 4 + size));
  }
  const errno = lastErrno();
  if (errno === 'ENODATA' || errno === 'ENOTTY' || errno === 'EOPNOTSUPP') return undefined;
  throw callError('measuring fs-verity', errno);
}
