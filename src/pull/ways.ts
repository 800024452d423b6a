/** Ways to bring an image to a device, and what they are compared by. */
import type { Digest } from '../core/digest.ts';
import type { DeltaEntry } from '../repository/delta-index.ts';

/**
 * Bytes that one more request is worth beside its content: the headers of both sides, and a part of the round trip that the
 * line stands idle.
 */
const REQUEST_BYTES = 600;

type WayKind =
  /** One delta from images that are there. */
  | 'delta'
  /** Several deltas, one after the other. */
  | 'chain'
  /** A delta from nothing, of which the records are taken that are needed. */
  | 'full'
  /** Every missing object by itself. */
  | 'objects';

/** What is known of a way: exactly what it costs, or a bound that was enough to leave it. */
export interface Way {
  readonly kind: WayKind;
  /** Images that the way passes through, from the one it begins with to the one before the wanted one. */
  readonly through: readonly Digest[];
  /** Files of the deltas. */
  readonly files: readonly string[];
  /** Bytes of content to download. */
  readonly bytes: number;
  readonly requests: number;
  /** False for one that was left because it costs at least these bytes. */
  readonly exact: boolean;
}

/** What ways are compared by. */
export function costOf(way: Way): number {
  return way.bytes + way.requests * REQUEST_BYTES;
}

/** The part of a way that its deltas say without being looked at. */
export function wayOf(
  deltas: readonly DeltaEntry[],
  cost: { readonly bytes: number; readonly requests: number; readonly exact: boolean },
): Way {
  const [first] = deltas;
  const kind =
    first === undefined ? 'objects' : first.from.length === 0 ? 'full' : deltas.length > 1 ? 'chain' : 'delta';
  return {
    kind,
    through: deltas.map(({ from }) => from[0]).filter((image) => image !== undefined),
    files: deltas.map(({ file }) => file),
    ...cost,
  };
}
