/** Which objects of a deployment are to be read before it is shown: those that nothing vouches for. */
import { lstatSync } from 'node:fs';
import type { Digest } from '../../core/digest.ts';
import type { ListedObject } from '../../objects/check-contents.ts';
import type { Pool } from '../../objects/pool.ts';
import type { ObjectReference } from '../../tree/references.ts';
import { measureFile } from '../object-verity.ts';
import { type IntegrityRecord, readRecord } from './record.ts';

/** A verification counts for so long; a timer repeats it as often. */
const VALID_MS = 7 * 24 * 60 * 60 * 1000;

export interface DueObjects {
  /** To be read. */
  readonly due: readonly ListedObject[];
  /** Not there, or of another length than the images say. */
  readonly missing: readonly ObjectReference[];
}

/**
 * Sorts the objects of some images. An object need not be read when the kernel checks it on every read (fs-verity), or when it
 * was read and found good within the last seven days and not written since.
 * @param now undefined: nothing that was read before counts.
 */
export function dueObjects(
  pool: Pool,
  images: readonly Digest[],
  objects: readonly ObjectReference[],
  now: Date | undefined,
): DueObjects {
  const readAt = now === undefined ? 0 : lastRead(readRecord(pool.directory), images, now);
  const due: ListedObject[] = [];
  const missing: ObjectReference[] = [];
  let sealed = true;
  for (const reference of objects) {
    const { digest, size } = reference;
    const fullPath = pool.objectPath(digest);
    const stat = lstatSync(fullPath, { throwIfNoEntry: false });
    if (stat?.size !== size) missing.push(reference);
    else if (stat.ctimeMs < readAt) continue;
    else {
      // Where one object has no fs-verity the others are not asked one by one, but read.
      sealed = sealed && measureFile(fullPath) === digest;
      if (!sealed) due.push({ digest, path: fullPath.slice(pool.directory.length + 1), fullPath, size });
    }
  }
  return { due, missing };
}

/** Milliseconds since 1970: everything that all of the images name and that was written before was read since. */
function lastRead({ verified, images: read, damaged }: IntegrityRecord, images: readonly Digest[], now: Date): number {
  if (damaged.some((problem) => problem.images.some((image) => images.includes(image)))) return 0;
  const valid = (time: string | undefined): number => {
    const at = time === undefined ? 0 : Date.parse(time);
    return at <= now.getTime() && now.getTime() - at <= VALID_MS ? at : 0;
  };
  return Math.max(valid(verified?.startedAt), Math.min(...images.map((image) => valid(read[image]))));
}
