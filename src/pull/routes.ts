/** Which deltas, one after the other, lead from the images that a device has to the one it wants. */
import type { Digest } from '../core/digest.ts';
import type { DeltaEntry } from '../repository/delta-index.ts';

/** Deltas in the order in which they are applied; the first begins with images that are there (or with nothing). */
export type Route = readonly DeltaEntry[];

/** More steps than this never pay: each one brings what later ones throw away. */
const MAX_STEPS = 8;

/** Routes that are returned at most, the most promising first. */
const MAX_ROUTES = 8;

/** A beginning of a route that costs so many times the best route's size is not followed: what the pool has rarely halves it. */
const WORTH_FOLLOWING = 2;

/** Steps of the search at most; it bounds the indexes that are fetched for a repository with very many deltas. */
const MAX_VISITS = 64;

/** A route from its end: what still must lead to `need`. */
interface Partial {
  readonly need: Digest;
  readonly deltas: Route;
  /** Images that the route passes through, so that none comes twice. */
  readonly seen: ReadonlySet<Digest>;
  readonly bytes: number;
}

/**
 * Finds routes by the sum of their deltas' sizes, the smallest first: Dijkstra's algorithm from the wanted image back to
 * what is there. Sizes are what a route costs at most; what the pool already has is subtracted later, for few.
 *
 * A delta from several images is a step where at most one of them is not there.
 * @param isThere true for images that the device has complete
 * @param deltasTo the deltas that lead to an image
 * @param isUsable false for a delta that is known to be bad
 */
export async function findRoutes(
  image: Digest,
  isThere: (image: Digest) => boolean,
  deltasTo: (image: Digest) => Promise<readonly DeltaEntry[]>,
  isUsable: (delta: DeltaEntry) => boolean,
): Promise<Route[]> {
  const routes: { deltas: Route; bytes: number }[] = [];
  const open: Partial[] = [{ need: image, deltas: [], seen: new Set([image]), bytes: 0 }];
  for (let visits = 0; visits < MAX_VISITS; visits++) {
    open.sort((a, b) => a.bytes - b.bytes);
    const partial = open.shift();
    if (partial === undefined) break;
    // Everything that is still open costs at least as much.
    if (partial.bytes > WORTH_FOLLOWING * Math.min(...routes.map(({ bytes }) => bytes))) break;
    for (const delta of await deltasTo(partial.need)) {
      if (!isUsable(delta)) continue;
      const absent = delta.from.filter((from) => !isThere(from));
      const next = { deltas: [delta, ...partial.deltas], bytes: partial.bytes + delta.size };
      const [from, ...others] = absent;
      if (from === undefined) routes.push(next);
      else if (others.length === 0 && next.deltas.length < MAX_STEPS && !partial.seen.has(from)) {
        open.push({ ...next, need: from, seen: new Set(partial.seen).add(from) });
      }
    }
  }
  routes.sort((a, b) => a.bytes - b.bytes);
  return routes.slice(0, MAX_ROUTES).map(({ deltas }) => deltas);
}
