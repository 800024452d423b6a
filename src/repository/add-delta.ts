/** `repo delta`: a delta between published releases, made from what the repository itself holds. */
import { OsupdError } from '../core/errors.ts';
import type { Progress } from '../core/progress.ts';
import type { JobResults } from '../delta/jobs/job-results.ts';
import type { DeltaImage, DeltaSummary } from '../delta/write.ts';
import { objectsOf } from '../tree/references.ts';
import type { DeltaEntry } from './delta-index.ts';
import { findReleases, readImages } from './delta-releases.ts';
import { findDelta, keepDelta, makeDelta, readIndex } from './deltas.ts';
import type { ReleaseReference } from './layout.ts';
import type { Release } from './release.ts';
import { RepositoryObjects } from './repository-objects.ts';
import { Revision, type RevisionOptions } from './revision.ts';
import type { RoleName } from './roles.ts';
import { storedSize } from './store-objects.ts';

export interface AddDeltaOptions extends RevisionOptions {
  /** Releases that a device has; none makes a full delta. */
  readonly from: readonly ReleaseReference[];
  readonly to: readonly ReleaseReference[];
  /** 1 (fastest) to 9 (smallest). */
  readonly effort: number;
  /** Results of the jobs that `planDeltaJobs` gives, where some of them have been done. */
  readonly results?: JobResults | undefined;
  readonly progress: Progress;
}

export interface AddedDelta {
  readonly delta: DeltaEntry;
  /** False when it was not kept, because it is no smaller than what devices fetch without it. */
  readonly kept: boolean;
  /** False when readers see no difference: it was not kept, was there already, or waits for signatures. */
  readonly changed: boolean;
  /** Bytes that a device fetches for the same releases without it. */
  readonly without: number;
  /** What the delta is made of; undefined when it was there already. */
  readonly summary?: DeltaSummary;
  /** Roles whose signatures are missing yet ({@link RevisionOptions.signLater}). */
  readonly waiting: readonly RoleName[];
}

/**
 * Makes and lists a delta, if it is smaller than the full one. One that is there already changes nothing.
 * @throws OsupdError `usage` when no device would use it; `not-found` for a release that is not published or a missing key;
 *   `damaged-repository`; `busy`
 */
export async function addDelta(options: AddDeltaOptions): Promise<AddedDelta> {
  const { directory, effort, results, progress } = options;
  using revision = await Revision.begin(options);
  revision.requireKeys('deltas', 'snapshot', 'timestamp');
  const fromReleases = await findReleases(revision, options.from);
  const toReleases = await findReleases(revision, options.to);
  const digests = (releases: readonly Release[]) => releases.map((release) => release.image.digest);
  checkDirection(fromReleases, toReleases);
  const from = await readImages(directory, fromReleases);
  const to = await readImages(directory, toReleases);
  const full = await fullBytes(revision, toReleases);
  const without = Number.isFinite(full) ? full : await looseBytes(directory, from, to, toReleases);
  const present = await findDelta(revision, digests(fromReleases), digests(toReleases));
  if (present !== undefined) return { delta: present, kept: true, changed: false, without, waiting: [] };
  const store = new RepositoryObjects(directory, await revision.staging());
  const made = await makeDelta(revision, { from, to, store, effort, results, progress });
  const { entry: delta, summary } = made;
  // A full delta saves requests where it saves no bytes.
  const kept = from.length === 0 || made.entry.size < without;
  if (!kept) return { delta, kept, changed: false, without, summary, waiting: [] };
  await keepDelta(revision, made);
  const { roles, waiting } = await revision.commit();
  return { delta, kept, changed: roles.length > 0, without, summary, waiting };
}

/** A device that has every image already fetches nothing. */
function checkDirection(from: readonly Release[], to: readonly Release[]): void {
  const had = new Set(from.map(({ image }) => image.digest));
  if (!to.every(({ image }) => had.has(image.digest))) return;
  const names = to.map(({ name, version }) => `${name}@${version}`).join(' + ');
  throw new OsupdError('usage', `devices that a delta to ${names} is for have these images already`, {
    remedy: 'name another release with --from or --to',
  });
}

/** Bytes of the full deltas that lead to the releases one by one. */
async function fullBytes(revision: Revision, releases: readonly Release[]): Promise<number> {
  let total = 0;
  for (const { image } of releases) {
    const { deltas } = await readIndex(revision, image.digest);
    const full = deltas.filter(({ from }) => from.length === 0).map(({ size }) => size);
    total += Math.min(...full, Number.POSITIVE_INFINITY);
  }
  return total;
}

/** Bytes of the images and of every object that a device with the from-images lacks. */
async function looseBytes(
  directory: string,
  from: readonly DeltaImage[],
  to: readonly DeltaImage[],
  releases: readonly Release[],
): Promise<number> {
  const seen = new Set(from.flatMap(({ tree }) => objectsOf(tree)).map(({ digest }) => digest));
  let total = releases.reduce((sum, release) => sum + release.image.stored.length, 0);
  for (const object of to.flatMap(({ tree }) => objectsOf(tree))) {
    if (seen.has(object.digest)) continue;
    seen.add(object.digest);
    total += (await storedSize(directory, object)) ?? 0;
  }
  return total;
}
