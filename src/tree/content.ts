/** What the readers of directories and archives have in common: where contents go, and which options change a tree on its way in. */
import type { Digest } from '../core/digest.ts';
import { OsupdError } from '../core/errors.ts';
import type { Progress } from '../core/progress.ts';
import type { Time } from './tree.ts';

/** Takes the contents of files that are not kept inline. */
export interface ContentStore {
  /**
   * Keeps one content and gives its name. `content` yields exactly `size` bytes; its chunks may be views of buffers that
   * are used again after the next step. What `content` throws goes to the caller, and then nothing is kept.
   */
  put(content: AsyncIterable<Uint8Array>, size: number): Promise<Digest>;
}

/** `count` numbers from `from` on become the numbers from `to` on. */
export interface IdRange {
  readonly from: number;
  readonly to: number;
  readonly count: number;
}

/** One number for all, or ranges of which the first that fits is taken; a number that fits none stays. */
export type IdMap = number | readonly IdRange[];

export interface OwnerMap {
  readonly uids: IdMap;
  readonly gids: IdMap;
}

export interface ReadOptions {
  /** Files up to this many bytes are kept inline as `content`; `mkcomposefs` takes 64. */
  readonly inlineLimit: number;
  /** Every mtime later than this becomes this (`SOURCE_DATE_EPOCH`). */
  readonly clampMtime?: Time | undefined;
  /** Leave out what matches one of these patterns, with all that is below it; see glob.ts. */
  readonly exclude?: readonly string[] | undefined;
  readonly owners?: OwnerMap | undefined;
  /** Which extended attributes to take: all (the default), those in `user.` alone, or none. */
  readonly xattrs?: 'all' | 'user' | 'none' | undefined;
  /** Leave out character and block devices; whiteouts (character device 0:0) stay. */
  readonly skipDevices?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly progress?: Progress | undefined;
}

/** @throws OsupdError `interrupted` once the signal has been given. */
export function stopIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted)
    throw new OsupdError('interrupted', 'stopped before the tree was read', { cause: signal.reason });
}
