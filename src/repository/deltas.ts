/** Delta files of a repository: made once, listed in the index of every image that they lead to. */
import { mkdir, open, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Digest } from '../core/digest.ts';
import { isSystemError } from '../core/errors.ts';
import { type DeltaImage, type DeltaJob, type DeltaSummary, writeDelta } from '../delta/write.ts';
import { syncDirectory } from '../sys/durable.ts';
import { type DeltaEntry, type DeltaIndex, encodeDeltaIndex, parseDeltaIndex } from './delta-index.ts';
import { deltaIndexTarget, deltaPath } from './layout.ts';
import type { Revision } from './revision.ts';

export type NewDelta = Pick<DeltaJob, 'from' | 'to' | 'store' | 'effort' | 'results' | 'progress'>;

/** A delta file that has no name yet. */
export interface StagedDelta {
  readonly entry: DeltaEntry;
  readonly summary: DeltaSummary;
  readonly temporary: string;
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

/** Makes a delta file in staging. */
export async function makeDelta(revision: Revision, delta: NewDelta): Promise<StagedDelta> {
  const { from, to, store, effort, results, progress } = delta;
  const scratch = await revision.staging();
  const temporary = join(scratch, 'delta');
  await using file = await open(temporary, 'w');
  const out = (chunk: Uint8Array) => file.writeFile(chunk);
  const summary = await writeDelta({ from, to, store, effort, results, progress, scratch, out });
  await file.sync();
  const digests = (images: readonly DeltaImage[]) => images.map((image) => image.digest);
  const { size, head } = summary;
  const entry = { from: digests(from), to: digests(to), file: deltaPath(head.sha256), size, head };
  return { entry, summary, temporary };
}

/** Gives a delta its name, durably, and lists it for every image that it leads to. */
export async function keepDelta(revision: Revision, { entry, temporary }: StagedDelta): Promise<void> {
  const folder = join(revision.directory, 'deltas');
  await mkdir(folder, { recursive: true });
  await rename(temporary, join(revision.directory, entry.file));
  syncDirectory(folder);
  await indexDelta(revision, entry);
}

/** In place of another one between the same images. */
async function indexDelta(revision: Revision, entry: DeltaEntry): Promise<void> {
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
