/** What the parts of planning share: what there is to look at, and what a way to an image comes to. */
import type { Digest } from '../core/digest.ts';
import { type ErrorCode, OsupdError } from '../core/errors.ts';
import type { Progress } from '../core/progress.ts';
import type { DeltaPlan } from '../delta/plan.ts';
import { listObjects } from '../delta/rebuild.ts';
import type { Pool } from '../objects/pool.ts';
import type { DeltaEntry } from '../repository/delta-index.ts';
import type { Release } from '../repository/release.ts';
import type { ObjectReference } from '../tree/references.ts';
import type { RepositoryFiles } from './repository-files.ts';
import type { SingleObject } from './single-objects.ts';
import type { Trust } from './trust.ts';
import type { Way } from './ways.ts';

/** What planning looks at. */
export interface PlanContext {
  readonly pool: Pool;
  readonly trust: Trust;
  readonly files: RepositoryFiles;
  /** True for objects that are there, or will be by the time this image's turn comes. */
  readonly has: (digest: Digest, size?: number) => boolean;
  /** Objects of images that were looked into: an image is read once, however many ways lead to it. */
  readonly objects: Map<Digest, readonly ObjectReference[]>;
  /** Files of deltas that turned out bad; they are not considered. */
  readonly bad: Set<string>;
  readonly progress: Progress;
}

/** The objects that an image names, in its order. @throws OsupdError `damaged-image` */
export async function objectsOfImage(
  digest: Digest,
  bytes: Uint8Array,
  { objects }: PlanContext,
): Promise<readonly ObjectReference[]> {
  const known = objects.get(digest) ?? (await listObjects(digest, bytes));
  objects.set(digest, known);
  return known;
}

/** One delta to apply: which of its records. */
export interface DeltaStep {
  readonly entry: DeltaEntry;
  readonly plan: DeltaPlan;
}

/** One way to bring an image, looked at closely. */
export interface Candidate {
  readonly way: Way;
  /** The image, rebuilt or fetched, and checked. */
  readonly image: Uint8Array;
  /** Its objects that are not there. */
  readonly missing: readonly ObjectReference[];
  /** Deltas to apply, in order. */
  readonly steps: readonly DeltaStep[];
  /** Objects to fetch by themselves after that. */
  readonly singles: readonly SingleObject[];
}

/** The failures of a delta that another way may not have. */
const DELTA_FAILURES: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'verification-failed',
  'damaged-delta',
  'damaged-image',
  'damaged-store',
  'invalid-tree',
  'limit-exceeded',
  'not-found',
  'unsupported',
]);

/** Leaves a delta out from now on, and says so. @throws the error itself when it is not the delta's. */
export function leaveDelta({ file }: DeltaEntry, error: unknown, context: PlanContext): void {
  if (!(error instanceof OsupdError)) throw error;
  // A file that the server cuts short for good is as bad as one with other content.
  const isLasting = error.code === 'network' && error.facts.transient === false;
  if (!DELTA_FAILURES.has(error.code) && !isLasting) throw error;
  context.bad.add(file);
  context.progress({ kind: 'note', text: `${file} cannot be used: ${error.message}; going another way` });
}

/** Adds the sizes of the objects' files, as the release has them for all objects of the image in order. */
export async function withStoredSizes(
  wanted: readonly ObjectReference[],
  objects: readonly ObjectReference[],
  release: Release,
  { files }: PlanContext,
): Promise<SingleObject[]> {
  if (wanted.length === 0) return [];
  if (objects.length !== release.objects.count) {
    throw new OsupdError(
      'verification-failed',
      `the image has ${objects.length} objects, the release says ${release.objects.count}`,
      {
        where: `${release.name}@${release.version}`,
        remedy: 'ask the operator of the repository to publish the release again',
      },
    );
  }
  const sizes = await files.objectSizes(release);
  const stored = new Map(objects.map(({ digest }, index) => [digest, sizes[index] as number]));
  return wanted.map((object) => ({ ...object, stored: stored.get(object.digest) as number }));
}
