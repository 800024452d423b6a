/** How one image will be brought: the cheapest way by bytes, found with as few downloads as can decide it. */
import type { Digest } from '../core/digest.ts';
import type { Release } from '../repository/release.ts';
import type { ObjectReference } from '../tree/references.ts';
import { examineRoute } from './delta-route.ts';
import { type Candidate, objectsOfImage, type PlanContext, withStoredSizes } from './plan-context.ts';
import { findRoutes, type Route } from './routes.ts';
import { costOf, type Way, wayOf } from './ways.ts';

export interface ImagePlan extends Candidate {
  readonly release: Release;
  /** Other ways that were looked at, the cheapest first. */
  readonly others: readonly Way[];
}

/** Routes that are looked at closely: each costs the heads of its deltas. */
const MAX_EXAMINED = 4;

/** Looking must be cheap beside what is at stake: heads or sizes are fetched only when they are at most this part of the best way so far. */
const WORTH_LOOKING = 1 / 20;

/** What objects together can shrink to at best, for a guess before their stored sizes are fetched. */
const BEST_LIKELY_RATIO = 10;

/**
 * Plans the download of an image that is not there.
 * @throws OsupdError `not-found`, `verification-failed`, `network`
 */
export async function planImage(release: Release, context: PlanContext): Promise<ImagePlan> {
  const candidates: Candidate[] = [];
  const left: Way[] = [];
  const best = () => candidates.toSorted((a, b) => costOf(a.way) - costOf(b.way))[0];
  const isPointless = (look: number, least: Way) => {
    const known = best()?.way;
    return known !== undefined && (look > known.bytes * WORTH_LOOKING || costOf(least) >= costOf(known));
  };
  for (const route of await routesTo(release.image.digest, context)) {
    const least = leastOfRoute(route);
    if (candidates.length === MAX_EXAMINED || isPointless(least.bytes, least)) left.push(least);
    else candidates.push(...(await examineRoute(route, release, context)));
  }
  const least = leastOfSingles(release, best()?.missing);
  if (isPointless(release.objects.sizes.length, least)) left.push(least);
  else candidates.push(await planSingles(release, best(), context));
  const chosen = best() as Candidate;
  const others = candidates.filter((candidate) => candidate !== chosen).map(({ way }) => way);
  return { ...chosen, release, others: [...others, ...left].sort((a, b) => costOf(a) - costOf(b)) };
}

async function routesTo(image: Digest, context: PlanContext): Promise<Route[]> {
  const present = new Set(await context.pool.listImages());
  return findRoutes(
    image,
    (digest) => present.has(digest),
    async (digest) => (await context.trust.deltas(digest))?.deltas ?? [],
    ({ file }) => !context.bad.has(file),
  );
}

/** A route costs at least the heads of its deltas. */
function leastOfRoute(route: Route): Way {
  const bytes = route.reduce((sum, { head }) => sum + head.size, 0);
  return wayOf(route, { bytes, requests: route.length, exact: false });
}

/** A bound for fetching every missing object by itself; without the image nothing is known of what is missing. */
function leastOfSingles(release: Release, missing: readonly ObjectReference[] | undefined): Way {
  const content = missing?.reduce((sum, { size }) => sum + size, 0) ?? 0;
  const bytes = release.objects.sizes.length + Math.floor(content / BEST_LIKELY_RATIO);
  return wayOf([], { bytes, requests: (missing?.length ?? 0) + 1, exact: false });
}

async function planSingles(release: Release, known: Candidate | undefined, context: PlanContext): Promise<Candidate> {
  const image = known?.image ?? (await context.files.image(release));
  const objects = await objectsOfImage(release.image.digest, image, context);
  const missing = objects.filter(({ digest, size }) => !context.has(digest, size));
  const singles = await withStoredSizes(missing, objects, release, context);
  const bytes = singles.reduce((sum, { stored = 0 }) => sum + stored, 0);
  return {
    way: wayOf([], { bytes, requests: singles.length, exact: true }),
    image,
    missing,
    steps: [],
    singles,
  };
}
