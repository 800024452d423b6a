/** Reads the objects that a delta is made from. */
import type { Digest } from '../core/digest.ts';
import { OsupdError } from '../core/errors.ts';
import type { OpenObject } from '../objects/pool.ts';
import type { ObjectReference } from '../tree/references.ts';

/** Has the objects of a delta's images: a pool, or a repository's store. */
export interface ObjectReader {
  openObject(digest: Digest): Promise<OpenObject>;
}

/** Opens an object that must have the size that its image says. @throws OsupdError `damaged-store`; what the reader throws. */
export async function openExactly(store: ObjectReader, { digest, size }: ObjectReference): Promise<OpenObject> {
  const object = await store.openObject(digest);
  if (object.size === size) return object;
  await object.close();
  throw new OsupdError('damaged-store', `the object has ${object.size} bytes, its image says ${size}`, {
    where: object.path,
    remedy: 'build the image again, or run "osupd fsck"',
    facts: { object: digest },
  });
}
