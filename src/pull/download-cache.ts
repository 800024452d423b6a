/**
 * Downloads worth keeping when a pull is cut short: heads of deltas and images, each needed before the first object can be
 * placed. A file is named by what its content must be and checked when it is read, so a torn one is only fetched again.
 */
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isSystemError } from '../core/errors.ts';
import { readIfThere } from './trust-store.ts';

/** A cache that cannot be written costs another download, not the pull: a full disk, a root that is only read, a gc meanwhile. */
const CANNOT_WRITE = new Set(['ENOSPC', 'EDQUOT', 'EROFS', 'EACCES', 'ENOENT']);

export class DownloadCache {
  readonly #directory: string;

  /** @param staging the pool's directory for unfinished work */
  constructor(staging: string) {
    this.#directory = join(staging, 'downloads');
  }

  /** The content under a name, when it passes `check`. */
  read(name: string, check: (bytes: Buffer) => boolean): Buffer | undefined {
    const bytes = readIfThere(join(this.#directory, name));
    return bytes !== undefined && check(bytes) ? bytes : undefined;
  }

  keep(name: string, bytes: Uint8Array): void {
    const temporary = join(this.#directory, `.${name}.${process.pid}`);
    try {
      mkdirSync(this.#directory, { recursive: true });
      writeFileSync(temporary, bytes);
      renameSync(temporary, join(this.#directory, name));
    } catch (error) {
      if (!isSystemError(error) || !CANNOT_WRITE.has(error.code ?? '')) throw error;
      rmSync(temporary, { force: true });
    }
  }

  /** Removes everything: what was wanted is complete. */
  clear(): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }
}
