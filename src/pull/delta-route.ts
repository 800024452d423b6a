/** Looks at a route of deltas closely: rebuilds its images and finds which records are needed, from the end back to the start. */
import type { Digest } from '../core/digest.ts';
import { OsupdError } from '../core/errors.ts';
import { type DeltaHead, readHead } from '../delta/head.ts';
import { planRecords } from '../delta/plan.ts';
import { rebuildImages } from '../delta/rebuild.ts';
import type { DeltaEntry } from '../repository/delta-index.ts';
import type { Release } from '../repository/release.ts';
import type { ObjectReference } from '../tree/references.ts';
import {
  type Candidate,
  type DeltaStep,
  leaveDelta,
  objectsOfImage,
  type PlanContext,
  withStoredSizes,
} from './plan-context.ts';
import type { Route } from './routes.ts';
import { wayOf } from './ways.ts';

interface OpenDelta {
  readonly entry: DeltaEntry;
  readonly head: DeltaHead;
}

/**
 * The route as a candidate; none when one of its deltas cannot be used, which is noted.
 * @throws OsupdError `network`, and what is wrong with the release itself
 */
export async function examineRoute(route: Route, release: Release, context: PlanContext): Promise<Candidate[]> {
  const images = new Map<Digest, Uint8Array>();
  const deltas: OpenDelta[] = [];
  for (const entry of route) {
    try {
      deltas.push({ entry, head: await openDelta(entry, images, context) });
    } catch (error) {
      leaveDelta(entry, error, context);
      return [];
    }
  }
  const image = images.get(release.image.digest) as Uint8Array;
  const objects = await objectsOfImage(release.image.digest, image, context);
  const missing = objects.filter(({ digest, size }) => !context.has(digest, size));
  const { steps, singles, bases } = planSteps(deltas, new Set(missing.map(({ digest }) => digest)), context);
  if (bases.size > 0) {
    const gone = new OsupdError('damaged-store', `${bases.size} objects that it builds on are missing`);
    leaveDelta(route[0] as DeltaEntry, gone, context);
    return [];
  }
  const rest = missing.filter(({ digest }) => singles.has(digest));
  const stored = await withStoredSizes(rest, objects, release, context);
  const sum = (numbers: readonly number[]) => numbers.reduce((total, number) => total + number, 0);
  const cost = {
    bytes: sum(steps.map(({ plan }) => plan.fetchBytes)) + sum(stored.map((object) => object.stored ?? 0)),
    requests: sum(steps.map(({ plan }) => plan.ranges.length)) + stored.length,
    exact: true,
  };
  return [{ way: wayOf(route, cost), image, missing, steps, singles: stored }];
}

/** Reads a delta's head and adds the images that it leads to. */
async function openDelta(entry: DeltaEntry, images: Map<Digest, Uint8Array>, context: PlanContext): Promise<DeltaHead> {
  const head = readHead(await context.files.head(entry));
  for (const image of entry.from) {
    if (!images.has(image)) images.set(image, await context.pool.readImage(image));
  }
  const rebuilt = await rebuildImages(head, images);
  for (const [digest, bytes] of rebuilt.images) images.set(digest, bytes);
  for (const [digest, objects] of rebuilt.objects) context.objects.set(digest, objects);
  const absent = entry.to.find((image) => !images.has(image));
  if (absent === undefined) return head;
  throw new OsupdError('damaged-delta', `it does not lead to image ${absent}, as its index says`);
}

/** Which records each delta must give; which objects none of them has; which bases are not there at all. */
function planSteps(
  deltas: readonly OpenDelta[],
  wanted: ReadonlySet<Digest>,
  context: PlanContext,
): { steps: DeltaStep[]; singles: ReadonlySet<Digest>; bases: ReadonlySet<Digest> } {
  const there = (digest: Digest) => context.has(digest);
  const named = (digest: Digest) => context.objects.get(digest) as readonly ObjectReference[];
  const steps: DeltaStep[] = [];
  let singles = wanted;
  let bases: ReadonlySet<Digest> = new Set();
  // What a step needs and does not bring itself, the steps before it must bring.
  for (const { entry, head } of deltas.toReversed()) {
    const plan = planRecords(head, named, there, (digest) => singles.has(digest) || bases.has(digest));
    const made = new Set(plan.objects.map(({ digest }) => digest));
    singles = singles.difference(made);
    bases = bases.difference(made).union(new Set(plan.missing.map(({ digest }) => digest)));
    // What is missing now, the steps before will have brought by then.
    steps.unshift({ entry, plan: { ...plan, missing: [] } });
  }
  return { steps, singles, bases };
}
