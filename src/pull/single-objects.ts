/** Objects fetched one by one: what no delta brings, and what a repair needs. */
import type { ObjectBatch } from '../objects/ingest.ts';
import type { ObjectReference } from '../tree/references.ts';
import type { RepositoryFiles } from './repository-files.ts';

/** An object and, where it is known, the size of its file in the repository. */
export interface SingleObject extends ObjectReference {
  readonly stored?: number;
}

/** Fetches at one time: enough to hide the round trips of small files, few enough for a small server. */
const PARALLEL = 8;

/**
 * Fetches objects into a batch, several at a time. After the first failure that is not left no further one is begun.
 * @param onObject called with each object that is complete
 * @param leaves true for a failure that is no reason to stop: the object stays away
 * @throws OsupdError `verification-failed`, `not-found`, `network`, `no-space`
 */
export async function fetchObjects(
  objects: readonly SingleObject[],
  files: RepositoryFiles,
  batch: ObjectBatch,
  onObject: (object: SingleObject) => void = () => {},
  leaves: (object: SingleObject, failure: unknown) => boolean = () => false,
): Promise<void> {
  const queue = objects.values();
  let failure: { readonly error: unknown } | undefined;
  const worker = async () => {
    for (const object of queue) {
      if (failure !== undefined) return;
      const { digest, size, stored } = object;
      try {
        await batch.addExpected(digest, size, files.objectContent(digest, size, stored));
      } catch (error) {
        const refusal = files.refusalOf(object, error);
        if (leaves(object, refusal)) continue;
        throw refusal;
      }
      onObject(object);
    }
  };
  const workers = Array.from({ length: PARALLEL }, () =>
    worker().catch((error: unknown) => {
      failure ??= { error };
    }),
  );
  await Promise.all(workers);
  if (failure !== undefined) throw failure.error;
}
