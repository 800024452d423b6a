/** The contents of objects against their names, on all cores. */
import type { Digest } from '../core/digest.ts';
import { OsupdError } from '../core/errors.ts';
import { noProgress, type Progress } from '../core/progress.ts';
import type { NamedObject } from './check.ts';
import type { HashedFile } from './hash-files.ts';
import type { ObjectWorkers } from './object-workers.ts';
import type { Problem } from './problem.ts';

/** An object in its place. */
export interface ListedObject {
  readonly digest: Digest;
  /** Relative to the pool. */
  readonly path: string;
  readonly fullPath: string;
  readonly size: number;
}

/** A job ends at the first of these. */
const JOB_OBJECTS = 64;
const JOB_BYTES = 8 << 20;

/** Reads all objects; problems come in the order of the objects. */
export async function* checkContents(
  objects: readonly ListedObject[],
  named: ReadonlyMap<Digest, NamedObject>,
  workers: Pick<ObjectWorkers, 'size' | 'hash'>,
  { progress = noProgress, signal }: { progress?: Progress; signal?: AbortSignal | undefined },
): AsyncGenerator<Problem> {
  const step = 'check objects';
  progress({ kind: 'start', step, total: objects.reduce((sum, { size }) => sum + size, 0), unit: 'bytes' });
  const running: Promise<{ job: ListedObject[]; hashed: HashedFile[] }>[] = [];
  const jobs = inJobs(objects);
  let done = 0;
  for (;;) {
    // One more than there are threads: none waits for this one to look at its results.
    while (running.length <= workers.size) {
      const { value: job } = jobs.next();
      if (job === undefined) break;
      running.push(workers.hash(job.map(({ fullPath }) => fullPath)).then((hashed) => ({ job, hashed })));
    }
    const finished = await running.shift();
    if (finished === undefined) break;
    for (const [at, object] of finished.job.entries()) {
      const problem = problemOf(object, finished.hashed[at] as HashedFile, named.get(object.digest));
      if (problem !== undefined) yield problem;
      done += object.size;
    }
    progress({ kind: 'advance', step, done });
    if (signal?.aborted) throw new OsupdError('interrupted', 'stopped before everything was checked');
  }
  progress({ kind: 'finish', step, done });
}

/** What is wrong with an object, given what was read; undefined for a good one. */
export function problemOf(
  object: ListedObject,
  hashed: HashedFile,
  named: NamedObject | undefined,
): Problem | undefined {
  if (hashed.digest === object.digest) return undefined;
  const { digest, path } = object;
  const { images = [], size } = named ?? {};
  const about = { path, digest, images, ...(size === undefined ? {} : { size }) };
  if (hashed.digest === undefined)
    return { type: 'unreadable-object', detail: `it cannot be read: ${hashed.failure}`, ...about };
  if (size !== undefined && hashed.size < size)
    return { type: 'truncated-object', detail: `it has ${hashed.size} of ${size} bytes`, ...about };
  return { type: 'changed-object', detail: `its content is that of ${hashed.digest}`, ...about };
}

function* inJobs(objects: readonly ListedObject[]): Generator<ListedObject[], undefined> {
  let job: ListedObject[] = [];
  let bytes = 0;
  for (const object of objects) {
    job.push(object);
    bytes += object.size;
    if (job.length < JOB_OBJECTS && bytes < JOB_BYTES) continue;
    yield job;
    job = [];
    bytes = 0;
  }
  if (job.length > 0) yield job;
  return undefined;
}
