/**
 * Places for unfinished work inside a pool: `staging/NAME/`, one for each writer.
 *
 * A writer holds a lock on a file in its area for as long as it lives, so an area whose lock is free was left by a process
 * that died. Beside that, every writer shares the lock `staging/lock` of the whole pool, and what removes objects takes it
 * alone: an object that a writer found in the pool stays there until the writer is done.
 */
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { isSystemError, OsupdError, toOsupdError } from '../core/errors.ts';
import { acquireLock, type Lock } from '../sys/lock.ts';

const LOCK = 'lock';
const PREFIX = 'batch-';

/** An area that this process owns. Its files are in directories by who writes them. */
export class StagingArea {
  readonly directory: string;
  readonly #locks: Lock[];
  readonly #writers = new Set<string>();
  #names = 0;

  constructor(directory: string, locks: Lock[]) {
    this.directory = directory;
    this.#locks = locks;
  }

  /** A path in the directory of `writer` that was not used before. */
  newPath(writer: string): string {
    const directory = join(this.directory, writer);
    if (!this.#writers.has(writer)) mkdirSync(directory);
    this.#writers.add(writer);
    return join(directory, `${this.#names++}`);
  }

  /** Paths of all files in the area. */
  files(): string[] {
    return this.#directories().flatMap((directory) => readdirSync(directory).map((name) => join(directory, name)));
  }

  #directories(): string[] {
    const entries = readdirSync(this.directory, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map((entry) => join(this.directory, entry.name));
  }

  /** Removes the area with what is in it and gives the locks back. */
  remove(): void {
    // The lock goes last: while it is there and held, nobody else takes the area for abandoned.
    for (const directory of this.#directories()) rmSync(directory, { recursive: true, force: true });
    rmSync(this.directory, { recursive: true, force: true });
    this.release();
  }

  /** Gives the locks back and leaves everything as it is. */
  release(): void {
    for (const lock of this.#locks.splice(0)) lock.release();
  }
}

/**
 * Makes a new area below a pool's staging directory.
 * @throws OsupdError `busy` while a sweep of the pool runs.
 */
export function openStagingArea(staging: string): StagingArea {
  const shared = keepSweepsAway(staging);
  try {
    for (;;) {
      const directory = mkdtempSync(join(staging, PREFIX));
      const own = lockArea(directory);
      if (own !== undefined) return new StagingArea(directory, [own, shared]);
    }
  } catch (error) {
    shared.release();
    throw toOsupdError(error, staging);
  }
}

/** Takes over every area whose owner is dead; one at a time, the caller removes each before it asks for the next. */
export function* abandonedAreas(staging: string): Generator<StagingArea> {
  for (const name of readdirSync(staging)) {
    if (!name.startsWith(PREFIX)) continue;
    const directory = join(staging, name);
    const own = lockArea(directory);
    if (own !== undefined) yield new StagingArea(directory, [own]);
  }
}

/** Directories of areas whose owner is dead. */
export function idleAreas(staging: string): string[] {
  return [...abandonedAreas(staging)].map((area) => {
    area.release();
    return area.directory;
  });
}

/**
 * Keeps all writers of a pool away.
 * @throws OsupdError `busy` while there is one.
 */
export function lockOutWriters(staging: string): Lock {
  return acquireLock(join(staging, LOCK), 'exclusive');
}

/**
 * Keeps everything away that removes objects.
 * @throws OsupdError `busy` while that runs.
 */
export function keepSweepsAway(staging: string): Lock {
  return acquireLock(join(staging, LOCK), 'shared');
}

/**
 * The lock of an area; undefined when somebody has it, or has just removed the area. The first can happen to an area's
 * maker too: between making the directory and locking it, it looks abandoned.
 */
function lockArea(directory: string): Lock | undefined {
  try {
    return acquireLock(join(directory, LOCK), 'exclusive');
  } catch (error) {
    const lost = error instanceof OsupdError && (error.code === 'busy' || error.code === 'not-found');
    if (lost || isSystemError(error, 'ENOENT')) return undefined;
    throw error;
  }
}
