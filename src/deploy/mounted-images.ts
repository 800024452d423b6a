/**
 * Which images mounted stacks still need: the question gc must not get wrong (I7). A stack that was switched away lives
 * on while any process has a file or directory of it open, and opens objects of the pool when that process asks for them.
 *
 * No record is kept that could be lost or wrong: the kernel itself is asked. The superblock of a mounted image holds the
 * image file open, itself or through a loop device, from the mount until the last user of the last stack over it is gone, in
 * every mount namespace; and whether a file is open can be asked (sys/open-elsewhere.ts).
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Digest, isDigest } from '../core/digest.ts';
import { OsupdError, toOsupdError } from '../core/errors.ts';
import type { Pool } from '../objects/pool.ts';
import { replacedInUse } from '../objects/replaced-files.ts';
import { isOpenElsewhere } from '../sys/open-elsewhere.ts';

/**
 * The images in a directory that a mount may use: keep these, and every object that they name. It errs on one side only: an
 * image that some process reads at this moment counts as used, and so does every image where the kernel cannot tell.
 * @param imagesDirectory `images/` of a pool; file names are digests.
 * @throws OsupdError `io`.
 */
export function imagesInUse(imagesDirectory: string): Set<Digest> {
  try {
    const images = readdirSync(imagesDirectory).filter(isDigest);
    return new Set(images.filter((digest) => mayBeMounted(join(imagesDirectory, digest))));
  } catch (error) {
    throw toOsupdError(error, imagesDirectory);
  }
}

/**
 * The same for the images of a whole pool, with those whose file a repair has replaced under a mount.
 * @param options `dryRun`: do not forget the replaced files that nobody uses any more.
 */
export function imagesOfMounts(pool: Pool, options: { readonly dryRun?: boolean } = {}): Set<Digest> {
  return new Set([...imagesInUse(pool.imagesDirectory), ...replacedInUse(pool.stagingDirectory, 'images', options)]);
}

function mayBeMounted(path: string): boolean {
  try {
    return isOpenElsewhere(path) !== false;
  } catch (error) {
    // Removed since it was listed.
    if (error instanceof OsupdError && error.code === 'not-found') return false;
    throw error;
  }
}
