/** Lists of objects in the form in which threads give them to each other: two arrays that are moved, not thousands of strings that are copied. */
import { type Digest, digestFromBytes, digestToBytes } from '../core/digest.ts';
import type { ObjectReference } from '../tree/references.ts';

const DIGEST_BYTES = 32;

export interface PackedReferences {
  readonly digests: Uint8Array<ArrayBuffer>;
  readonly sizes: Float64Array<ArrayBuffer>;
}

export function packReferences(objects: readonly ObjectReference[]): PackedReferences {
  const digests = new Uint8Array(DIGEST_BYTES * objects.length);
  const sizes = new Float64Array(objects.length);
  for (const [index, { digest, size }] of objects.entries()) {
    digests.set(digestToBytes(digest), DIGEST_BYTES * index);
    sizes[index] = size;
  }
  return { digests, sizes };
}

export function unpackReferences({ digests, sizes }: PackedReferences): ObjectReference[] {
  return Array.from(sizes, (size, index) => {
    const at = DIGEST_BYTES * index;
    const digest: Digest = digestFromBytes(digests.subarray(at, at + DIGEST_BYTES));
    return { digest, size };
  });
}
