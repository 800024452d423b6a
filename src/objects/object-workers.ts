/** The worker threads of an object writer or checker, with one typed method for each kind of job. */
import { availableParallelism } from 'node:os';
import { WorkerPool, workerModule } from '../core/workers.ts';
import type { HashedFile } from './hash-files.ts';
import type { ObjectJob, ObjectJobResult } from './object-worker.ts';
import type { StoredFile, StoreJob } from './store-files.ts';

export class ObjectWorkers {
  /** Threads that compute. There is one more, for the job that waits for the disk. */
  readonly size: number;
  readonly #pool: WorkerPool<ObjectJob, ObjectJobResult>;

  /** @param size number of computing threads; all cores by default. */
  constructor(size = availableParallelism()) {
    this.size = size;
    this.#pool = new WorkerPool(workerModule(import.meta.url, './object-worker'), { size: size + 1 });
  }

  store(job: StoreJob): Promise<StoredFile[]> {
    return this.#pool.run({ kind: 'store', ...job }) as Promise<StoredFile[]>;
  }

  hash(paths: readonly string[]): Promise<HashedFile[]> {
    return this.#pool.run({ kind: 'hash', paths }) as Promise<HashedFile[]>;
  }

  /** False when the file system has no fs-verity. */
  seal(paths: readonly string[]): Promise<boolean> {
    return this.#pool.run({ kind: 'seal', paths }) as Promise<boolean>;
  }

  /** Writes everything of the file system that holds `directory` to disk. */
  sync(directory: string): Promise<void> {
    return this.#pool.run({ kind: 'sync', directory }) as Promise<undefined>;
  }

  close(): Promise<void> {
    return this.#pool.close();
  }
}

/** Cuts a list into jobs of at most `count` items; many small files in one job keep the cost of a message away. */
export function* inJobs<Item>(items: Iterable<Item>, count: number): Generator<Item[]> {
  let job: Item[] = [];
  for (const item of items) {
    job.push(item);
    if (job.length < count) continue;
    yield job;
    job = [];
  }
  if (job.length > 0) yield job;
}
