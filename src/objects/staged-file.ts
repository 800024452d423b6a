/**
 * Files of a staging area. `N` is content that is being written, `N-DIGEST` an object; N makes names unique within the
 * area. Who reads an area that another process left must check the content against the name: a small object is written
 * under it from the start.
 */
import { closeSync, fchmodSync, fstatSync, openSync, unlinkSync } from 'node:fs';
import { type Digest, isDigest } from '../core/digest.ts';

/** Mode of objects and images, as mkcomposefs gives them. */
export const OBJECT_MODE = 0o644;

/** The path of the object that the content at `path` turned out to be. */
export function stagedName(path: string, digest: Digest): string {
  return `${path}-${digest}`;
}

/** The digest in a name that {@link stagedName} made. */
export function stagedDigest(name: string): Digest | undefined {
  const digest = /^\d+-([0-9a-f]+)$/.exec(name)?.[1];
  return digest !== undefined && isDigest(digest) ? digest : undefined;
}

/** Makes a file for an object; open for reading and writing. */
export function createStaged(path: string): number {
  const fd = openSync(path, 'wx+', OBJECT_MODE);
  // The mode given to open() is cut by the umask; setting the one it has would still cost a change of the inode.
  if ((fstatSync(fd).mode & 0o7777) !== OBJECT_MODE) fchmodSync(fd, OBJECT_MODE);
  return fd;
}

/** Makes a file and lets `fill` write it; it stays only when that says so. */
export function withStagedFile<Result>(path: string, fill: (fd: number) => { keep: boolean; result: Result }): Result {
  const fd = createStaged(path);
  let keep = false;
  try {
    const filled = fill(fd);
    keep = filled.keep;
    return filled.result;
  } finally {
    closeSync(fd);
    if (!keep) unlinkSync(path);
  }
}
