/** Which parts of a delta's payload a device needs, given what its pool has. */
import type { Digest } from '../core/digest.ts';
import { OsupdError } from '../core/errors.ts';
import { decodeImage } from '../image/read.ts';
import type { ReadRange } from '../transport/source.ts';
import { type ObjectReference, objectsOf } from '../tree/references.ts';
import { damagedDelta } from './damage.ts';
import type { DeltaHead } from './head.ts';
import type { DeltaRecord } from './header.ts';
import { type ImageObjects, type ObjectOrder, orderObjects } from './object-order.ts';

/** Bytes between two needed records that are read and thrown away rather than asked for apart: a request costs about as much. */
const GAP_BYTES = 16 << 10;

/** One record that is to be read. */
export interface PlannedRecord {
  /** Where it is in the delta file. */
  readonly range: ReadRange;
  readonly codec: string;
  /** All objects in it, in the order of their content. */
  readonly members: readonly ObjectReference[];
  /** Those of them that are kept. */
  readonly kept: ReadonlySet<Digest>;
  readonly bases: readonly ObjectReference[];
}

export interface DeltaPlan {
  /** What is read, as ranges of the delta file, in order. Each holds one record or several, and small gaps. */
  readonly ranges: readonly ReadRange[];
  /** Sum of the ranges. */
  readonly fetchBytes: number;
  /** In the order of the file: what a record is based on comes before it. */
  readonly records: readonly PlannedRecord[];
  /** Objects that come into the pool. */
  readonly objects: readonly ObjectReference[];
  /** Sum of their sizes. */
  readonly objectBytes: number;
  /** Objects outside the delta that records are based on. */
  readonly bases: readonly ObjectReference[];
  /** Those of them that the pool does not have: with any the plan cannot be carried out. */
  readonly missing: readonly ObjectReference[];
}

/**
 * Plans the payload.
 * @param named gives the objects of each from-image and to-image of the delta; {@link namedBy} where their bytes are at hand.
 * @param have true for an object that the pool has.
 * @param wanted true for an object of the to-images that is needed; all by default. A delta on the way to another one need
 * not bring what only its own images have.
 * @throws OsupdError `damaged-delta` when the records do not fit the images; what `named` throws.
 */
export function planRecords(
  head: DeltaHead,
  named: (image: Digest) => ImageObjects,
  have: (digest: Digest) => boolean,
  wanted: (digest: Digest) => boolean = () => true,
): DeltaPlan {
  const order = orderObjects(head.from.map(named), head.to.map(named));
  const { records } = head.header;
  checkRecords(records, order);
  const kept = chooseObjects(records, order, have, wanted);
  const planned = locateRecords(head, order, kept);
  const ranges = joinRanges(planned.map(({ range }) => range));
  const objects = planned.flatMap((record) => record.members.filter(({ digest }) => record.kept.has(digest)));
  const made = new Set(objects.map(({ digest }) => digest));
  const used = new Map(planned.flatMap((record) => record.bases.map((base) => [base.digest, base])));
  const bases = [...used.values()].filter(({ digest }) => !made.has(digest));
  return {
    ranges,
    fetchBytes: ranges.reduce((sum, { length }) => sum + length, 0),
    records: planned,
    objects,
    objectBytes: objects.reduce((sum, { size }) => sum + size, 0),
    bases,
    missing: bases.filter(({ digest }) => !have(digest)),
  };
}

/** The objects that images name, given their bytes. @throws OsupdError `not-found` for an image that is not among them, `damaged-image`. */
export function namedBy(images: ReadonlyMap<Digest, Uint8Array>): (image: Digest) => ImageObjects {
  return (digest) => {
    const bytes = images.get(digest);
    if (bytes !== undefined) return objectsOf(decodeImage(bytes, digest));
    throw new OsupdError('not-found', 'the plan of a delta needs this image', { where: digest });
  };
}

/** Every new object is made by exactly one record, and bases come before their users. */
function checkRecords(records: readonly DeltaRecord[], { old, fresh }: ObjectOrder): void {
  const made = new Set<number>();
  for (const { members, bases } of records) {
    for (const base of bases)
      if (base >= old.length && !made.has(base - old.length))
        throw damagedDelta(`a record is based on object ${base}, which does not come before it`);
    for (const member of members) {
      if (member >= fresh.length || made.has(member))
        throw damagedDelta(`a record holds the new object ${member} of ${fresh.length}, or holds it again`);
      made.add(member);
    }
  }
  if (made.size < fresh.length) throw damagedDelta(`${fresh.length - made.size} objects have no record`);
}

/** For each record the objects of it that are kept: those that are lacking, and those that kept ones are based on. */
function chooseObjects(
  records: readonly DeltaRecord[],
  { old, fresh }: ObjectOrder,
  have: (digest: Digest) => boolean,
  wanted: (digest: Digest) => boolean,
): Set<Digest>[] {
  const neededAsBases = new Set<number>();
  const kept: Set<Digest>[] = records.map(() => new Set());
  // From the end: all users of a base are seen before the record that makes it.
  for (let index = records.length - 1; index >= 0; index--) {
    const { members, bases } = records[index]!;
    for (const member of members) {
      const { digest } = fresh[member]!;
      if (!have(digest) && (wanted(digest) || neededAsBases.has(member))) kept[index]!.add(digest);
    }
    if (kept[index]!.size > 0) for (const base of bases) if (base >= old.length) neededAsBases.add(base - old.length);
  }
  return kept;
}

function locateRecords(
  head: DeltaHead,
  { old, fresh }: ObjectOrder,
  kept: readonly ReadonlySet<Digest>[],
): PlannedRecord[] {
  const planned: PlannedRecord[] = [];
  let offset = head.size;
  head.header.records.forEach(({ members, codec, bases, stored }, index) => {
    if (kept[index]!.size > 0) {
      planned.push({
        range: { offset, length: stored },
        codec,
        members: members.map((member) => fresh[member]!),
        kept: kept[index]!,
        bases: bases.map((base) => old[base] ?? fresh[base - old.length]!),
      });
    }
    offset += stored;
  });
  return planned;
}

function joinRanges(parts: readonly ReadRange[]): ReadRange[] {
  const joined: ReadRange[] = [];
  for (const part of parts) {
    const last = joined.at(-1);
    if (last !== undefined && part.offset - (last.offset + last.length) <= GAP_BYTES)
      joined[joined.length - 1] = { offset: last.offset, length: part.offset + part.length - last.offset };
    else joined.push(part);
  }
  return joined;
}
