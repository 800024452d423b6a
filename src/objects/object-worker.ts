/** The jobs of an object writer or checker that run on worker threads, by kind. */
import { serveJobs } from '../core/workers.ts';
import { syncFileSystem } from '../sys/durable.ts';
import { type HashedFile, hashFiles } from './hash-files.ts';
import { sealFiles } from './seal-files.ts';
import { type StoredFile, type StoreJob, storeFiles } from './store-files.ts';

export type ObjectJob =
  | ({ readonly kind: 'store' } & StoreJob)
  | { readonly kind: 'hash'; readonly paths: readonly string[] }
  | { readonly kind: 'seal'; readonly paths: readonly string[] }
  | { readonly kind: 'sync'; readonly directory: string };

/** What a job gives, by kind: stored files, hashed files, whether sealing is supported, nothing. */
export type ObjectJobResult = StoredFile[] | HashedFile[] | boolean | undefined;

serveJobs<ObjectJob, ObjectJobResult>((job) => {
  switch (job.kind) {
    case 'store':
      return storeFiles(job);
    case 'hash':
      return hashFiles(job.paths);
    case 'seal':
      return sealFiles(job.paths);
    case 'sync':
      return syncFileSystem(job.directory) as undefined;
  }
});
