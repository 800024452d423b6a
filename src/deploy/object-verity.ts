/** Whether the kernel can vouch for every object of some images. */
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Digest, objectName } from '../core/digest.ts';
import { isSystemError, toOsupdError } from '../core/errors.ts';
import { decodeImage } from '../image/read.ts';
import { measureVerity } from '../sys/verity.ts';
import { objectsOf } from '../tree/references.ts';

/**
 * True when each image file has fs-verity, and each object that it names has the fs-verity digest of its name. The kernel
 * measures; no content is read. About 20 microseconds an object; the answer "no" mostly comes at the first file.
 * @param images paths of image files. @param pool path of the pool's objects.
 * @throws OsupdError `damaged-image`, `not-found` for an image; `io`. An object that is missing is no verity, not an error.
 */
export function haveVerity(images: readonly string[], pool: string): boolean {
  if (images.some((path) => measureFile(path) === undefined)) return false;
  const checked = new Set<Digest>();
  for (const path of images) {
    for (const { digest } of objectsOf(decodeImage(readFileSync(path), path))) {
      if (checked.has(digest)) continue;
      if (measureFile(join(pool, objectName(digest))) !== digest) return false;
      checked.add(digest);
    }
  }
  return true;
}

/** The fs-verity digest of a file by its path; undefined when the file has none, or is not there. */
export function measureFile(path: string): Digest | undefined {
  try {
    const fd = openSync(path, 'r');
    try {
      return measureVerity(fd);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return undefined;
    throw toOsupdError(error, path);
  }
}
