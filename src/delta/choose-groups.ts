/** Plans the payload of a delta: finds bases for the new objects and divides these into records. */
import type { ByteString } from '../core/bytes.ts';
import type { Digest } from '../core/digest.ts';
import type { Progress } from '../core/progress.ts';
import type { ObjectReference } from '../tree/references.ts';
import { nodeOf, type Tree, walk } from '../tree/tree.ts';
import { chooseBases, type Seeker } from './bases.ts';
import { containedObjects } from './contained.ts';
import { type Group, groupObjects, type PlannedObject } from './groups.ts';
import { isNamedCompressed, type Kind, kindOf } from './kinds.ts';
import { type NamedObject, NameIndex } from './name-index.ts';
import type { ObjectOrder } from './object-order.ts';
import { type ObjectReader, openExactly } from './object-reader.ts';
import { SketchIndex } from './sketch-index.ts';
import { type SketchedObject, sketchObjects } from './sketch-objects.ts';
import { totalSize } from './total-size.ts';

/** Below this size too few strings are sampled to say anything: names must do. */
const MIN_SKETCHED_BYTES = 512;

/** Compressed content of less than this shares no strings unless it is the same. */
const MIN_COMPRESSED_BYTES = 1 << 20;

/** Names of a new object that are looked up. */
const MAX_NAMES = 4;

export interface GroupsJob {
  readonly from: readonly Tree[];
  readonly to: readonly Tree[];
  readonly order: ObjectOrder;
  /** Has the objects of all trees. */
  readonly store: ObjectReader;
  /** Number of threads; all cores by default. The result does not depend on it. */
  readonly workers?: number | undefined;
  /** Step `compare`: bytes that were looked at. */
  readonly progress: Progress;
}

/**
 * The records to be, in the order of the payload: what a record is based on comes before it.
 * @throws OsupdError what the store throws.
 */
export async function chooseGroups({ from, to, order, store, workers, progress }: GroupsJob): Promise<Group[]> {
  const step = 'compare';
  const old = sketchableObjects(from);
  const objects = [...old, ...order.fresh];
  progress({ kind: 'start', step, unit: 'bytes', total: totalSize(objects) });
  const index = new SketchIndex();
  const fresh: SketchedObject[] = [];
  let done = 0;
  await sketchObjects(objects, {
    store,
    workers,
    take(number, sketched) {
      if (number < old.length) index.add(number, sketched.sketch);
      else fresh[number - old.length] = sketched;
    },
    advance(bytes) {
      done += bytes;
      progress({ kind: 'advance', step, done });
    },
  });
  progress({ kind: 'finish', step, done });
  const planned = planObjects(from, to, order.fresh, fresh, old, index);
  return groupObjects(await addContained(planned, order, store));
}

/** True for files that are made of other files of their system. */
function containsObjects(kind: Kind): boolean {
  return kind === 'initrd';
}

/** Adds to initrds the objects that they have in them. */
async function addContained(
  planned: readonly PlannedObject[],
  { old, fresh }: ObjectOrder,
  store: ObjectReader,
): Promise<PlannedObject[]> {
  const objects = new Map([...fresh, ...old].map((object) => [object.digest, object]));
  const isNew = new Set(fresh.map(({ digest }) => digest));
  const added: PlannedObject[] = [];
  for (const object of planned) {
    if (!containsObjects(object.kind)) {
      added.push(object);
      continue;
    }
    await using opened = await openExactly(store, object);
    const contained = (await containedObjects(opened, objects)).filter(({ digest }) => digest !== object.digest);
    const waits = contained.some(({ digest }) => isNew.has(digest)) ? 2 : object.waits;
    added.push({ ...object, contained, waits });
  }
  return added;
}

function planObjects(
  from: readonly Tree[],
  to: readonly Tree[],
  fresh: readonly ObjectReference[],
  sketched: readonly SketchedObject[],
  old: readonly ObjectReference[],
  index: SketchIndex,
): PlannedObject[] {
  const paths = Map.groupBy(namedObjects(to), ({ digest }) => digest);
  const names = new NameIndex(namedObjects(from));
  const objects = fresh.map((object, number) => {
    const own = paths.get(object.digest)!.map(({ path }) => path);
    const path = own[0]!;
    return { ...object, number, path, kind: kindOf(path, sketched[number]!.head), paths: own };
  });
  const seekers = objects.map(({ digest, size, kind, number, paths }): Seeker => {
    const isTelling = kind !== 'compressed' || size >= MIN_COMPRESSED_BYTES;
    const sketch = isTelling && size >= MIN_SKETCHED_BYTES ? sketched[number]!.sketch : undefined;
    return { digest, size, sketch, named: candidatesFor(paths, size, names), comesLast: containsObjects(kind) };
  });
  const chosen = chooseBases(seekers, old, index);
  return objects.map(({ digest, size, number, path, kind }) => {
    const { bases, isNew } = chosen[number]!;
    return { digest, size, number, path, kind, bases, contained: [], waits: isNew ? 1 : 0 };
  });
}

function candidatesFor(paths: readonly ByteString[], size: number, names: NameIndex): NamedObject[] {
  const found = paths.slice(0, MAX_NAMES).flatMap((path) => names.candidates(path, size));
  return [...new Map(found.map((object) => [object.digest, object])).values()];
}

/** Every name of every object in the trees. */
function* namedObjects(trees: readonly Tree[]): Generator<NamedObject> {
  for (const tree of trees) {
    for (const { path, entry } of walk(tree)) {
      const node = nodeOf(entry);
      if (node.type === 'file' && node.size > 0 && node.content === undefined && node.digest !== undefined)
        yield { path, digest: node.digest, size: node.size };
    }
  }
}

/** Objects whose content may be found again in others. */
function sketchableObjects(trees: readonly Tree[]): ObjectReference[] {
  const objects = new Map<Digest, ObjectReference>();
  for (const { path, digest, size } of namedObjects(trees)) {
    const isTelling = size >= MIN_SKETCHED_BYTES && (size >= MIN_COMPRESSED_BYTES || !isNamedCompressed(path));
    if (isTelling && !objects.has(digest)) objects.set(digest, { digest, size });
  }
  return [...objects.values()];
}
