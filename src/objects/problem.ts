/** What can be wrong with a pool. */
import type { Digest } from '../core/digest.ts';

export type ProblemType =
  /** An image names it and it is not there. */
  | 'missing-object'
  /** Shorter than the images say. */
  | 'truncated-object'
  /** The content is not that of the name (I2). */
  | 'changed-object'
  /** The disk, or the kernel's fs-verity, refused to read it. */
  | 'unreadable-object'
  /** The name of an object, but not in the directory where objects of that name are looked for. */
  | 'misplaced-object'
  /** The caller needs an image that is not there. */
  | 'missing-image'
  /** The content is not that of the name, or cannot be read. */
  | 'changed-image'
  /** Has the content of its name, and that is no metadata image. */
  | 'damaged-image'
  | 'wrong-owner'
  | 'wrong-mode'
  /** Something under `objects/` or `images/` that osupd did not put there. */
  | 'foreign-file'
  /** Unfinished work of a process that died; the next writer finishes or removes it. */
  | 'leftover'
  /** The files of a deployment are missing or do not agree with each other or its ID. */
  | 'damaged-deployment'
  /** Replaced by a repair, but processes that had the file open still read what was there before. */
  | 'still-read';

export interface Problem {
  readonly type: ProblemType;
  /** Relative to the pool. */
  readonly path: string;
  /** The object or image, where it is one. */
  readonly digest?: Digest;
  /** Bytes that the object should have, where an image says. */
  readonly size?: number;
  /** One line for people: what was found. */
  readonly detail: string;
  /** The images that name the object. */
  readonly images: readonly Digest[];
}

/** False for what does no harm on the disk, and goes by itself. */
export function isDamage({ type }: Problem): boolean {
  return type !== 'leftover' && type !== 'still-read';
}

const FETCH = '"osupd fsck --repair" fetches it';
const REPAIR = '"osupd fsck --repair"';

/** What the user does about a problem: one clause. */
export function remedyOf({ type, images }: Problem): string {
  switch (type) {
    case 'missing-object':
    case 'missing-image':
    case 'truncated-object':
      return FETCH;
    case 'changed-object':
    case 'unreadable-object':
    case 'changed-image':
    case 'damaged-image':
      return images.length === 0 ? `${REPAIR} removes it` : FETCH;
    case 'misplaced-object':
      return `${REPAIR} puts it in its place, or removes it`;
    case 'wrong-owner':
    case 'wrong-mode':
      return `${REPAIR} sets it`;
    case 'foreign-file':
      return 'remove it by hand';
    case 'leftover':
      return `${REPAIR} removes it`;
    case 'damaged-deployment':
      return `${REPAIR} writes it again where it can; else "osupd undeploy" it, then "osupd pull"`;
    case 'still-read':
      return `restart what uses it, then ${REPAIR}`;
  }
}
