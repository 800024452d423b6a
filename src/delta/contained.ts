/** Which objects a new one has in it as whole files: the modules and programs of an initrd are those of its system. */

import type { Digest } from '../core/digest.ts';
import { MAX_UNPACKED_BYTES } from '../core/limits.ts';
import { fsverityDigest } from '../objects/fsverity.ts';
import type { ObjectReference } from '../tree/references.ts';
import type { Base } from './codec.ts';
import { isStreamed } from './containers/container.ts';
import { CONTAINERS } from './containers/containers.ts';
import { cpioFiles } from './containers/cpio.ts';
import { unpackStreamed } from './containers/unpack-streamed.ts';
import { readBases } from './read-base.ts';

/** To name a smaller file as a base costs as much as to difference it. */
const MIN_CONTAINED_BYTES = 512;

/**
 * The objects that are files in the archives of an object, in their order there, each once.
 * @throws OsupdError what the object throws.
 */
export async function containedObjects(
  object: Base,
  objects: ReadonlyMap<Digest, ObjectReference>,
): Promise<ObjectReference[]> {
  const found = new Map<Digest, ObjectReference>();
  for (const part of await partsOf(object)) {
    for (const { offset, size } of cpioFiles(part)) {
      if (size < MIN_CONTAINED_BYTES) continue;
      const known = objects.get(fsverityDigest(part.subarray(offset, offset + size)));
      if (known !== undefined) found.set(known.digest, known);
    }
  }
  return [...found.values()];
}

async function partsOf(object: Base): Promise<readonly Uint8Array[]> {
  if (object.size > MAX_UNPACKED_BYTES) return [];
  const bytes = await readBases([object]);
  const container = CONTAINERS.find((one) => one.begins(bytes));
  if (container === undefined) return [];
  const parts = isStreamed(container)
    ? await unpackStreamed(container, bytes, MAX_UNPACKED_BYTES)
    : container.unpack(bytes, MAX_UNPACKED_BYTES);
  return parts ?? [];
}
