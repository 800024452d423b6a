/** fs-verity for what a pool had before it could have any. */
import type { Digest } from '../core/digest.ts';
import { OsupdError } from '../core/errors.ts';
import { decodeImage } from '../image/read.ts';
import { inJobs, ObjectWorkers } from '../objects/object-workers.ts';
import type { Pool } from '../objects/pool.ts';
import { objectsOf } from '../tree/references.ts';
import { measureFile } from './object-verity.ts';

/** Objects of one job. */
const JOB_OBJECTS = 64;

/**
 * Gives fs-verity to each object of some images that has none, where kernel and file system can. An image that has it
 * makes the initramfs ask for it of every object; but objects that the image shares with earlier ones may come from a kernel that had
 * no fs-verity, as that of the machine that made the disk.
 *
 * @throws OsupdError `damaged-store` for an object that has not the content of its name; `damaged-image`, `not-found`, `no-space`.
 */
export async function sealObjects(pool: Pool, images: readonly { readonly digest: Digest }[]): Promise<void> {
  // The kernel may ask for it only where the image itself has it.
  if (images.some(({ digest }) => measureFile(pool.imagePath(digest)) === undefined)) return;
  const open = new Map<string, Digest>();
  for (const { digest: image } of images) {
    for (const { digest } of objectsOf(decodeImage(await pool.readImage(image), pool.imagePath(image)))) {
      const path = pool.objectPath(digest);
      if (measureFile(path) !== digest) open.set(path, digest);
    }
  }
  if (open.size === 0) return;
  const workers = new ObjectWorkers();
  try {
    await Promise.all([...inJobs(open.keys(), JOB_OBJECTS)].map((paths) => workers.seal(paths)));
  } finally {
    await workers.close();
  }
  const damaged = [...open].find(([path, digest]) => measureFile(path) !== digest);
  if (damaged === undefined) return;
  const [where, object] = damaged;
  throw new OsupdError('damaged-store', 'the object does not have the content of its name', {
    where,
    remedy: 'run osupd fsck --repair',
    facts: { object },
  });
}
