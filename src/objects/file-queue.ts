/**
 * Files that wait to be stored. They go to worker threads in groups: a message for each of many small files would cost as
 * much as reading it.
 */
import type { ByteString } from '../core/bytes.ts';
import type { SourceStat } from '../tree/tree.ts';
import type { ObjectWorkers } from './object-workers.ts';
import type { StagingArea } from './staging.ts';
import type { StoredFile } from './store-files.ts';

/** A group ends at the first of these. */
const GROUP_FILES = 64;
const GROUP_BYTES = 8 << 20;

interface Waiting {
  readonly path: ByteString;
  readonly expected: SourceStat;
  readonly resolve: (stored: StoredFile) => void;
  readonly reject: (error: unknown) => void;
}

export class FileQueue {
  readonly #workers: ObjectWorkers;
  readonly #objectsDirectory: string;
  readonly #area: StagingArea;
  /** Directories for the groups that may run now: threads that make files in one directory would wait for each other. */
  readonly #idle: string[];
  readonly #waiting: Waiting[] = [];
  #taken = 0;
  #scheduled = false;

  constructor(workers: ObjectWorkers, objectsDirectory: string, area: StagingArea) {
    this.#workers = workers;
    this.#objectsDirectory = objectsDirectory;
    this.#area = area;
    this.#idle = Array.from({ length: workers.size }, (_, at) => `files-${at}`);
  }

  /**
   * Stores one file in the staging area, unless the pool has it. Calls that are made without waiting for each other are
   * grouped; when one file of a group fails, the others of the group fail with its error.
   */
  add(path: ByteString, expected: SourceStat): Promise<StoredFile> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ path, expected, resolve, reject });
      if (this.#scheduled) return;
      this.#scheduled = true;
      // Once everything that is ready now has called.
      setImmediate(() => {
        this.#scheduled = false;
        this.#dispatch();
      });
    });
  }

  #dispatch(): void {
    while (this.#taken < this.#waiting.length) {
      const writer = this.#idle.pop();
      if (writer === undefined) return;
      void this.#store(this.#nextGroup(), writer);
    }
  }

  async #store(group: Waiting[], writer: string): Promise<void> {
    try {
      const files = group.map(({ path, expected }) => ({ path, expected, temporary: this.#area.newPath(writer) }));
      const stored = await this.#workers.store({ objectsDirectory: this.#objectsDirectory, files });
      for (const [at, file] of group.entries()) file.resolve(stored[at] as StoredFile);
    } catch (error) {
      for (const file of group) file.reject(error);
    }
    this.#idle.push(writer);
    this.#dispatch();
  }

  #nextGroup(): Waiting[] {
    const group: Waiting[] = [];
    for (let bytes = 0; bytes < GROUP_BYTES && group.length < GROUP_FILES; ) {
      const file = this.#waiting[this.#taken];
      if (file === undefined) break;
      this.#taken++;
      group.push(file);
      bytes += file.expected.size;
    }
    if (this.#taken === this.#waiting.length) {
      this.#waiting.length = 0;
      this.#taken = 0;
    }
    return group;
  }
}
