/** Decodes records on a thread of its own. */
import { serveJobs } from '../core/workers.ts';
import type { WrittenContent } from '../objects/write-content.ts';
import { returnFreedBlocks, returnFreedMemory } from '../sys/memory.ts';
import { decodeRecord, type RecordFiles } from './decode-record.ts';

export interface DecodeJob extends RecordFiles {
  /** The record's bytes. */
  readonly stored: Uint8Array;
}

// What decoding takes comes and goes in large blocks.
returnFreedBlocks();

serveJobs(async (job: DecodeJob): Promise<WrittenContent[]> => {
  try {
    return await decodeRecord(job, once(job.stored));
  } finally {
    // Half a millisecond, for what would come to 50 MB.
    returnFreedMemory();
  }
});

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
