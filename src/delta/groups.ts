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
  /** True when its base is a new object, one that does not wait itself. */
  readonly waits: boolean;
}

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
  /** The bases of all members, each once. */
  readonly bases: readonly ObjectReference[];
}

/** Sizes in bytes. */
interface Limits {
  /** Objects of this size and larger are alone in their record: more context helps them little. */
  readonly object: number;
  /** Content of one group: what a device loses at most when it is interrupted, and reads in vain where it lacks one object of it. */
  readonly content: number;
}

/** Old objects are the best context: groups of 4 MiB would make an update of a system 0.4 % smaller. */
const WITH_BASES: Limits = { object: 256 << 10, content: 1 << 20 };

/** Objects without bases help each other: in groups of 1 MiB a whole system is 4 % larger, in groups of 8 MiB 1.6 % smaller. */
const WITHOUT_BASES: Limits = { object: 1 << 20, content: 4 << 20 };

/** Bases of one group; a small object does without a base that is larger. */
const GROUP_BASE_BYTES = 4 << 20;

/**
 * Groups hold objects of one kind and file name extension in the order in which they came: neighbours in a tree are the
 * most alike. The groups come in the order of their first members, those that wait for others behind all others.
 */
export function groupObjects(objects: readonly PlannedObject[]): Group[] {
  return [false, true].flatMap((waits) => groupAlike(objects.filter((object) => object.waits === waits)));
}

function groupAlike(objects: readonly PlannedObject[]): Group[] {
  const groups: OpenGroup[] = [];
  const open = new Map<string, OpenGroup>();
  for (const object of objects) {
    const { kind } = object;
    const bases = usableBases(object);
    const isAlone = object.size >= limitsFor(bases.length > 0).object;
    const key = `${kind} ${extensionOf(object.path)}`;
    if (!isAlone && open.get(key)?.add(object, bases)) continue;
    const group = new OpenGroup(kind);
    group.add(object, bases);
    groups.push(group);
    if (!isAlone) open.set(key, group);
  }
  return groups;
}

function limitsFor(hasBases: boolean): Limits {
  return hasBases ? WITH_BASES : WITHOUT_BASES;
}

function usableBases({ bases, size }: NewObject): readonly ObjectReference[] {
  const isSmall = size < WITH_BASES.object;
  return isSmall && totalSize(bases) > GROUP_BASE_BYTES ? [] : bases;
}

class OpenGroup implements Group {
  readonly kind: Kind;
  readonly members: Member[] = [];
  readonly bases: ObjectReference[] = [];
  readonly #indexes = new Map<Digest, number>();
  #bytes = 0;
  #baseBytes = 0;

  constructor(kind: Kind) {
    this.kind = kind;
  }

  /** False when the object does not fit any more; the first one always does. */
  add(object: NewObject, bases: readonly ObjectReference[]): boolean {
    const bytes = this.#bytes + object.size;
    const baseBytes = this.#baseBytes + totalSize(bases.filter(({ digest }) => !this.#indexes.has(digest)));
    const limit = limitsFor(baseBytes > 0).content;
    if (this.members.length > 0 && (bytes > limit || baseBytes > GROUP_BASE_BYTES)) return false;
    this.members.push({ object, bases: bases.map((base) => this.#indexOf(base)) });
    this.#bytes = bytes;
    this.#baseBytes = baseBytes;
    return true;
  }

  #indexOf(base: ObjectReference): number {
    const known = this.#indexes.get(base.digest);
    if (known !== undefined) return known;
    this.#indexes.set(base.digest, this.bases.length);
    return this.bases.push(base) - 1;
  }
}

/** Bytes of a group's content. */
export function contentSize({ members }: Group): number {
  return members.reduce((sum, { object }) => sum + object.size, 0);
}
