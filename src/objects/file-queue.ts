/**
 * Files that wait to be stored. They go to worker threads in groups: a message for each of many small files would cost as
 * much as reading it.
 */
import type { ByteString } from '../core/bytes.ts';
import type { ObjectWorkers } from './object-workers.ts';
import type { FileIdentity, FileToStore, StoredFile } from './store-files.ts';

/** A group ends at the first of these. */
const GROUP_FILES = 64;
const GROUP_BYTES = 8 << 20;

interface Waiting extends FileToStore {
  readonly resolve: (stored: StoredFile) => void;
  readonly reject: (error: unknown) => void;
}

export class FileQueue {
  readonly #workers: ObjectWorkers;
  readonly #objectsDirectory: string;
  readonly #waiting: Waiting[] = [];
  #taken = 0;
  #running = 0;
  #scheduled = false;

  constructor(workers: ObjectWorkers, objectsDirectory: string) {
    this.#workers = workers;
    this.#objectsDirectory = objectsDirectory;
  }

  /**
   * Stores one file at `temporary`, unless the pool has it. Calls that are made without waiting for each other are
   * grouped; when one file of a group fails, the others of the group fail with its error.
   */
  add(path: ByteString, expected: FileIdentity, temporary: string): Promise<StoredFile> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ path, expected, temporary, resolve, reject });
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
    while (this.#running < this.#workers.size && this.#taken < this.#waiting.length) {
      const group = this.#nextGroup();
      this.#running++;
      const files = group.map(({ path, expected, temporary }) => ({ path, expected, temporary }));
      this.#workers
        .store({ objectsDirectory: this.#objectsDirectory, files })
        .then(
          (stored) => {
            for (const [at, file] of group.entries()) file.resolve(stored[at] as StoredFile);
          },
          (error: unknown) => {
            for (const file of group) file.reject(error);
          },
        )
        .finally(() => {
          this.#running--;
          this.#dispatch();
        });
    }
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
