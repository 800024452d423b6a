/** Divides the new objects of a delta into records: large ones alone, small ones in solid groups of their like. */
import type { ByteString } from '../core/bytes.ts';
import type { ObjectReference } from '../tree/references.ts';
import { type Kind, kindOf } from './kinds.ts';
import { extensionOf } from './names.ts';

/** A new object, and what is known of it before it is encoded. */
export interface NewObject extends ObjectReference {
  /** Its number among the new objects of the delta. */
  readonly number: number;
  /** Its first name in the to-images. */
  readonly path: ByteString;
  /** The old object that should help. */
  readonly base: ObjectReference | undefined;
}

/** Objects that are encoded together. */
export interface Group {
  readonly kind: Kind;
  readonly members: readonly NewObject[];
  /** The bases of all members, each once. */
  readonly bases: readonly ObjectReference[];
}

/** Objects of this size (in bytes) and larger are alone in their record: more context helps them little. */
const SOLID_OBJECT_BYTES = 256 << 10;

/** Content of one group: what a device loses at most when it is interrupted, and reads in vain where it lacks one object of it. */
const GROUP_BYTES = 1 << 20;

/** Bases of one group; a small object does without a base that is larger. */
const GROUP_BASE_BYTES = 4 << 20;

/**
 * Groups hold objects of one kind and file name extension in the order in which they came: neighbours in a tree are the
 * most alike. The groups come in the order of their first members.
 */
export function groupObjects(objects: readonly NewObject[]): Group[] {
  const groups: OpenGroup[] = [];
  const open = new Map<string, OpenGroup>();
  for (const object of objects) {
    const kind = kindOf(object.path);
    if (object.size >= SOLID_OBJECT_BYTES) {
      groups.push(new OpenGroup(kind, object));
      continue;
    }
    const key = `${kind} ${extensionOf(object.path)}`;
    if (open.get(key)?.add(object)) continue;
    const group = new OpenGroup(kind, object);
    open.set(key, group);
    groups.push(group);
  }
  return groups;
}

class OpenGroup implements Group {
  readonly kind: Kind;
  readonly members: NewObject[];
  readonly bases: ObjectReference[];
  #bytes: number;
  #baseBytes: number;

  constructor(kind: Kind, object: NewObject) {
    const { base } = object;
    const isUsable = base !== undefined && (object.size >= SOLID_OBJECT_BYTES || base.size <= GROUP_BASE_BYTES);
    this.kind = kind;
    this.members = [object];
    this.bases = isUsable ? [base] : [];
    this.#bytes = object.size;
    this.#baseBytes = isUsable ? base.size : 0;
  }

  /** False when the object does not fit any more. */
  add(object: NewObject): boolean {
    const { base } = object;
    const isNew = base !== undefined && !this.bases.some(({ digest }) => digest === base.digest);
    const baseBytes = this.#baseBytes + (isNew ? base.size : 0);
    if (this.#bytes + object.size > GROUP_BYTES || baseBytes > GROUP_BASE_BYTES) return false;
    this.members.push(object);
    if (isNew) this.bases.push(base);
    this.#bytes += object.size;
    this.#baseBytes = baseBytes;
    return true;
  }
}
