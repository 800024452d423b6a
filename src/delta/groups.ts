/** Divides the new objects of a delta into records: large ones alone, small ones in solid groups of their like. */
import type { ByteString } from '../core/bytes.ts';
import type { Digest } from '../core/digest.ts';
import type { ObjectReference } from '../tree/references.ts';
import type { Kind } from './kinds.ts';
import { extensionOf } from './names.ts';
import { totalSize } from './total-size.ts';

export interface NewObject extends ObjectReference {
  /** Its number among the new objects of the delta. */
  readonly number: number;
  /** Its first name in the to-images. */
  readonly path: ByteString;
  /** The objects that should help: none, one, or several that help with different parts of it. */
  readonly bases: readonly ObjectReference[];
}

/** A new object, and what is known of it before it is encoded. */
export interface PlannedObject extends NewObject {
  readonly kind: Kind;
  /** Objects that are in it as whole files. */
  readonly contained: readonly ObjectReference[];
  /** How many records must be made one after the other before its own: 0 where it needs no new object, 1 where these need none. */
  readonly waits: Waits;
}

type Waits = 0 | 1 | 2;

const ALL_WAITS: readonly Waits[] = [0, 1, 2];

/** An object of a group. */
export interface Member {
  readonly object: NewObject;
  /** Its bases, as indexes into those of the group. */
  readonly bases: readonly number[];
}

/** Objects that are encoded together. */
export interface Group {
  readonly kind: Kind;
  readonly members: readonly Member[];
  /** The bases of all members, each once. Those that no member names are in members as whole files. */
  readonly bases: readonly ObjectReference[];
}

/** Sizes in bytes. */
interface Limits {
  /**
   * Content of one group. Larger groups are smaller when stored, since members teach the coder what the next ones are like; but a device
   * decodes each on one thread, loses it when it is interrupted, and reads it in vain where it lacks one object of it.
   */
  readonly content: number;
  /** Objects of this size and larger are alone in their record. */
  readonly object: number;
}

/**
 * What was measured on an update of a system (os) and of an application layer (app):
 * modules in groups of 1, 4, 8 and 16 MiB are 2.65, 2.29, 2.16 and 2.08 MB, and a group of 16 MiB is 350 kB to fetch again at most;
 * programs and libraries alone, in groups of 4 and of 16 MiB 953, 941 and 938 kB.
 */
const LIMITS: Readonly<Record<Kind, Limits>> = {
  module: { content: 16 << 20, object: 16 << 20 },
  program: { content: 4 << 20, object: 2 << 20 },
  library: { content: 4 << 20, object: 2 << 20 },
  other: { content: 8 << 20, object: 4 << 20 },
  // Nothing is gained together but a few bytes a record.
  compressed: { content: 1 << 20, object: 256 << 10 },
  kernel: { content: 0, object: 0 },
  initrd: { content: 0, object: 0 },
};

/** Objects without bases help each other: in groups of 1 MiB a whole system is 4 % larger, in groups of 8 MiB 1.6 % smaller. */
const LIMITS_WITHOUT_BASES: Limits = { content: 4 << 20, object: 1 << 20 };

/** Bases of one group, in relation to its limit of content. */
const BASE_FACTOR = 2;

/** Kinds that are differenced member by member: the small ones come first and teach for the large ones at little cost (2.7 % of modules). */
const SMALL_FIRST: ReadonlySet<Kind> = new Set(['module', 'program', 'library']);

/**
 * Groups hold objects of one kind and file name extension, neighbours in a tree together: they are the most alike. Those that
 * wait for others come behind all others, and else groups in the order of their first members.
 */
export function groupObjects(objects: readonly PlannedObject[]): Group[] {
  return ALL_WAITS.flatMap((waits) => groupAlike(objects.filter((object) => object.waits === waits)));
}

function groupAlike(objects: readonly PlannedObject[]): Group[] {
  const alike = Map.groupBy(objects, ({ kind, path, bases }) => {
    const hasBases = bases.length > 0 ? 'based' : 'free';
    return `${kind} ${extensionOf(path)} ${kind === 'other' ? '' : hasBases}`;
  });
  const runs = [...alike.values()].flatMap((run) => divide(run));
  return runs.map(makeGroup).sort((a, b) => firstNumber(a) - firstNumber(b));
}

/** Cuts objects that are alike into runs of about equal size within the limits. */
function divide(objects: readonly PlannedObject[]): PlannedObject[][] {
  const { kind } = objects[0]!;
  const limits = objects.some(({ bases }) => bases.length > 0) ? LIMITS[kind] : LIMITS_WITHOUT_BASES;
  const isAlone = ({ size, bases }: PlannedObject) =>
    size >= limits.object || totalSize(bases) > BASE_FACTOR * limits.content;
  const small = objects.filter((object) => !isAlone(object));
  const share = totalSize(small) / Math.ceil(totalSize(small) / limits.content);
  const runs = objects.filter(isAlone).map((object) => [object]);
  let run = new OpenRun();
  let done = 0;
  for (const object of small) {
    const isFull = done >= share * (run.number + 1);
    if (run.objects.length > 0 && (isFull || !run.fits(object, limits.content))) {
      runs.push(run.objects);
      run = new OpenRun(isFull ? run.number + 1 : run.number);
    }
    run.add(object);
    done += object.size;
  }
  if (run.objects.length > 0) runs.push(run.objects);
  return runs;
}

/** Objects that will be a group. */
class OpenRun {
  readonly objects: PlannedObject[] = [];
  /** How many equal shares were complete before it. */
  readonly number: number;
  readonly #bases = new Set<Digest>();
  #bytes = 0;
  #baseBytes = 0;

  constructor(number = 0) {
    this.number = number;
  }

  fits(object: PlannedObject, content: number): boolean {
    return (
      this.#bytes + object.size <= content &&
      this.#baseBytes + totalSize(this.#newBases(object)) <= BASE_FACTOR * content
    );
  }

  add(object: PlannedObject): void {
    const added = this.#newBases(object);
    this.#bytes += object.size;
    this.#baseBytes += totalSize(added);
    for (const { digest } of added) this.#bases.add(digest);
    this.objects.push(object);
  }

  #newBases({ bases }: PlannedObject): ObjectReference[] {
    return bases.filter(({ digest }) => !this.#bases.has(digest));
  }
}

function makeGroup(run: readonly PlannedObject[]): Group {
  const { kind } = run[0]!;
  const objects = SMALL_FIRST.has(kind) ? run.toSorted((a, b) => a.size - b.size || a.number - b.number) : run;
  const indexes = new Map<Digest, number>();
  const bases: ObjectReference[] = [];
  const members = objects.map((object) => {
    for (const base of object.bases) if (!indexes.has(base.digest)) indexes.set(base.digest, bases.push(base) - 1);
    return { object, bases: object.bases.map(({ digest }) => indexes.get(digest)!) };
  });
  for (const contained of objects.flatMap((object) => object.contained))
    if (!indexes.has(contained.digest)) indexes.set(contained.digest, bases.push(contained) - 1);
  return { kind, members, bases };
}

function firstNumber({ members }: Group): number {
  return Math.min(...members.map(({ object }) => object.number));
}

/** Bytes of a group's content. */
export function contentSize({ members }: Group): number {
  return members.reduce((sum, { object }) => sum + object.size, 0);
}
