/**
 * Takes files of this machine into a staging area. Runs on a worker thread.
 *
 * What is hashed is what the pool gets: the bytes in memory that are then written, or the shared blocks read back, never
 * the source a second time.
 */
import { closeSync, constants, fstatSync, ftruncateSync, openSync, readSync, renameSync, statSync } from 'node:fs';
import { type ByteString, toBytes, toText } from '../core/bytes.ts';
import { type Digest, objectName } from '../core/digest.ts';
import { isSystemError, OsupdError, toOsupdError } from '../core/errors.ts';
import { reflink } from '../sys/files.ts';
import type { SourceStat } from '../tree/tree.ts';
import { FsverityHasher, fsverityDigest } from './fsverity.ts';
import { hashDescriptor, READ_BYTES } from './hash-files.ts';
import { writeFully, writeSparse } from './sparse.ts';
import { stagedName, withStagedFile } from './staged-file.ts';

export interface FileToStore {
  readonly path: ByteString;
  /** What the tree's reader saw; it must still be so when the content has been read. */
  readonly expected: SourceStat;
  /** Where content goes that the pool does not have (staged-file.ts). */
  readonly temporary: string;
}

export interface StoreJob {
  readonly objectsDirectory: string;
  readonly files: readonly FileToStore[];
}

export interface StoredFile {
  readonly digest: Digest;
  /** The staged object; undefined when the pool had it already. */
  readonly path: string | undefined;
}

/** Tells whether the pool has an object of the file's size under a digest. */
type IsKnown = (digest: Digest) => boolean;

/** Files up to this size are read whole before anything is written: what the pool has costs no write. */
const WHOLE_BYTES = 8 << 20;
/** Below it, sharing blocks costs more than copying. */
const REFLINK_BYTES = 64 << 10;

const buffer = Buffer.allocUnsafeSlow(WHOLE_BYTES + 1);
/** Whether files of a device (st_dev) can share blocks with the staging area, as far as it was tried. */
const canShare = new Map<bigint, boolean>();

/** Stores each file, in order; ends at the first that fails. @throws OsupdError `changed-while-read`, `no-space`, `io`. */
export function storeFiles(job: StoreJob): StoredFile[] {
  return job.files.map((file) => storeFile(file, job.objectsDirectory));
}

function storeFile(file: FileToStore, objectsDirectory: string): StoredFile {
  const source = openSource(file.path);
  try {
    const isKnown: IsKnown = (digest) =>
      statSync(`${objectsDirectory}/${objectName(digest)}`, { throwIfNoEntry: false })?.size === file.expected.size;
    const device = checkUnchanged(source, file);
    if (file.expected.size >= REFLINK_BYTES && canShare.get(device) !== false) {
      const shared = storeShared(source, file, device, isKnown);
      if (shared !== undefined) return shared;
    }
    return file.expected.size <= WHOLE_BYTES ? storeWhole(source, file, isKnown) : storeCopied(source, file, isKnown);
  } catch (error) {
    if (!isSystemError(error)) throw error;
    // What is full is the pool, not the file that was read.
    const isFull = isSystemError(error, 'ENOSPC') || isSystemError(error, 'EDQUOT');
    throw toOsupdError(error, isFull ? objectsDirectory : toText(file.path));
  } finally {
    closeSync(source);
  }
}

/** Lets the target share the source's blocks; undefined where the file systems cannot. */
function storeShared(source: number, file: FileToStore, device: bigint, isKnown: IsKnown): StoredFile | undefined {
  const fill = (target: number) => {
    const shares = reflink(source, target);
    canShare.set(device, shares);
    return shares ? hashDescriptor(target).digest : undefined;
  };
  return storeUnderDigest(source, file, isKnown, fill);
}

/** Reads into memory, and writes that. */
function storeWhole(source: number, file: FileToStore, isKnown: IsKnown): StoredFile {
  const { size } = file.expected;
  let length = 0;
  // One byte more is asked for than there should be, to notice growth.
  for (let count = -1; count !== 0 && length <= size; length += count)
    count = readSync(source, buffer, length, size + 1 - length, length);
  if (length !== size) throw changed(file, `its size was ${size} bytes`);
  const content = buffer.subarray(0, size);
  const digest = fsverityDigest(content);
  checkUnchanged(source, file);
  if (isKnown(digest)) return { digest, path: undefined };
  const path = stagedName(file.temporary, digest);
  return withStagedFile(path, (target) => {
    writeFully(target, content, 0);
    return { keep: true, result: { digest, path } };
  });
}

/** Copies in chunks and hashes what it writes. */
function storeCopied(source: number, file: FileToStore, isKnown: IsKnown): StoredFile {
  const fill = (target: number) => {
    const hasher = new FsverityHasher();
    for (;;) {
      const count = readSync(source, buffer, 0, READ_BYTES, hasher.size);
      if (count === 0) break;
      const chunk = buffer.subarray(0, count);
      writeSparse(target, chunk, hasher.size);
      hasher.update(chunk);
      if (hasher.size > file.expected.size) break;
    }
    if (hasher.size !== file.expected.size) throw changed(file, `its size was ${file.expected.size} bytes`);
    ftruncateSync(target, hasher.size);
    return hasher.digest();
  };
  return storeUnderDigest(source, file, isKnown, fill) as StoredFile;
}

/** Fills a file whose digest is known only afterwards; undefined when `fill` gives none. */
function storeUnderDigest(
  source: number,
  file: FileToStore,
  isKnown: IsKnown,
  fill: (target: number) => Digest | undefined,
): StoredFile | undefined {
  const stored = withStagedFile<StoredFile | undefined>(file.temporary, (target) => {
    const digest = fill(target);
    checkUnchanged(source, file);
    if (digest === undefined) return { keep: false, result: undefined };
    const keep = !isKnown(digest);
    return { keep, result: { digest, path: keep ? stagedName(file.temporary, digest) : undefined } };
  });
  if (stored?.path !== undefined) renameSync(file.temporary, stored.path);
  return stored;
}

function openSource(path: ByteString): number {
  // A file that became a symlink, pipe or device since it was listed must neither be followed nor waited for.
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const bytes = toBytes(path);
  try {
    return openSync(bytes, flags | constants.O_NOATIME);
  } catch (error) {
    // Only the owner of a file may read it without a trace.
    if (isSystemError(error, 'EPERM')) return openSync(bytes, flags);
    const gone = ['ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO'].some((code) => isSystemError(error, code));
    if (gone) throw changedFile(path, 'it is gone', error);
    throw toOsupdError(error, toText(path));
  }
}

/** Compares an open file with what the reader of the tree saw; returns its device. */
function checkUnchanged(source: number, file: FileToStore): bigint {
  const now = fstatSync(source, { bigint: true });
  const { size, mtimeNs, ino } = file.expected;
  if (now.ino !== ino || !now.isFile()) throw changed(file, 'another file has its name');
  if (now.size !== BigInt(size)) throw changed(file, `its size was ${size} bytes and is ${now.size}`);
  if (now.mtimeNs !== mtimeNs) throw changed(file, 'it was written to');
  return now.dev;
}

function changed(file: FileToStore, how: string): OsupdError {
  return changedFile(file.path, how);
}

function changedFile(path: ByteString, how: string, cause?: unknown): OsupdError {
  return new OsupdError('changed-while-read', `the file changed while it was read: ${how}`, {
    where: toText(path),
    remedy: 'build from a tree that nothing writes to, for example a snapshot',
    cause,
  });
}
