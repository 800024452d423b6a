/** Delta files of a repository: made once, listed in the index of every image that they lead to. */
import { mkdir, open, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Digest } from '../core/digest.ts';
import { isSystemError, OsupdError } from '../core/errors.ts';
import type { Progress } from '../core/progress.ts';
import type { DeltaImage, ObjectReader } from '../delta/write.ts';
import { syncDirectory } from '../sys/durable.ts';
import { type DeltaEntry, type DeltaIndex, encodeDeltaIndex, parseDeltaIndex } from './delta-index.ts';
import { deltaIndexTarget, deltaPath } from './layout.ts';
import type { Revision } from './revision.ts';

export interface DeltaJob {
  readonly from: readonly DeltaImage[];
  readonly to: readonly DeltaImage[];
  /** Where the objects of all images are read from. */
  readonly store: ObjectReader;
  /** 1 (fastest) to 9 (smallest). */
  readonly effort: number;
  readonly progress: Progress;
  /** Keep the delta only when it has fewer bytes than this. */
  readonly limit?: number;
}

/** The index of the deltas that lead to an image; empty when there is none yet. */
export async function readIndex(revision: Revision, image: Digest): Promise<DeltaIndex> {
  const target = deltaIndexTarget(image);
  const bytes = await revision.readTarget(target);
  return bytes === undefined ? { schema: 'osupd-deltas/1', image, deltas: [] } : parseDeltaIndex(bytes, target);
}

/** The delta between just these images, when it is listed for all of them and its file is there. */
export async function findDelta(
  revision: Revision,
  from: readonly Digest[],
  to: readonly Digest[],
): Promise<DeltaEntry | undefined> {
  const same = (entry: DeltaEntry) => isSameSet(entry.from, from) && isSameSet(entry.to, to);
  let found: DeltaEntry | undefined;
  for (const image of to) {
    found = (await readIndex(revision, image)).deltas.find(same);
    if (found === undefined) return undefined;
  }
  return found !== undefined && (await fileSize(join(revision.directory, found.file))) === found.size
    ? found
    : undefined;
}

/**
 * Makes a delta file, durably, under its final name; nothing refers to it before {@link indexDelta}.
 * @throws OsupdError `nothing-to-do` when it reaches the job's limit
 */
export async function makeDelta(revision: Revision, job: DeltaJob): Promise<DeltaEntry> {
  const temporary = join(await revision.staging(), 'delta');
  const file = await open(temporary, 'w');
  let entry: DeltaEntry;
  try {
    const out = async (chunk: Uint8Array) => {
      await file.writeFile(chunk);
    };
    const { writeDelta } = await import('../delta/write.ts');
    const { size, head } = await writeDelta({
      from: [...job.from],
      to: [...job.to],
      store: job.store,
      effort: job.effort,
      progress: job.progress,
      out,
    });
    const digests = (images: readonly DeltaImage[]) => images.map((image) => image.digest);
    entry = { from: digests(job.from), to: digests(job.to), file: deltaPath(head.sha256), size, head };
    const { limit = Number.POSITIVE_INFINITY } = job;
    if (size >= limit) {
      throw new OsupdError('nothing-to-do', `the delta has ${size} bytes, and devices need only ${limit} without it`, {
        where: revision.directory,
        facts: { size, without: limit },
      });
    }
    await file.sync();
  } finally {
    await file.close();
  }
  const folder = join(revision.directory, 'deltas');
  await mkdir(folder, { recursive: true });
  await rename(temporary, join(revision.directory, entry.file));
  syncDirectory(folder);
  return entry;
}

/** Lists a delta for every image that it leads to, in place of another one between the same images. */
export async function indexDelta(revision: Revision, entry: DeltaEntry): Promise<void> {
  for (const image of entry.to) {
    const index = await readIndex(revision, image);
    const others = index.deltas.filter(
      (other) => !(isSameSet(other.from, entry.from) && isSameSet(other.to, entry.to)),
    );
    revision.setTarget(deltaIndexTarget(image), encodeDeltaIndex({ ...index, deltas: [...others, entry] }));
  }
}

function isSameSet(a: readonly Digest[], b: readonly Digest[]): boolean {
  return a.length === b.length && a.every((digest) => b.includes(digest));
}

async function fileSize(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return undefined;
    throw error;
  }
}
