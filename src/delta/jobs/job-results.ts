/** A directory where jobs leave their results, for many processes and machines at the same time. */
import { randomUUID } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isSystemError, OsupdError, toOsupdError } from '../../core/errors.ts';
import type { Progress } from '../../core/progress.ts';
import { codecNamed } from '../codecs.ts';
import type { EncodedRecord } from '../encoder.ts';
import type { Group } from '../groups.ts';
import type { ObjectReader } from '../object-reader.ts';
import type { Spool } from '../spool.ts';
import { checkRecord } from './check-record.ts';
import { type RecordJob, recordJob } from './record-job.ts';
import { encodeResult, openResult } from './result-file.ts';

export class JobResults {
  readonly directory: string;
  readonly maker: string;

  private constructor(directory: string, maker: string) {
    this.directory = directory;
    this.maker = maker;
  }

  /** Makes the directory when it is not there. @param maker as `makerOf` gives it. */
  static open(directory: string, maker: string): JobResults {
    try {
      mkdirSync(directory, { recursive: true });
    } catch (error) {
      throw toOsupdError(error, directory);
    }
    return new JobResults(directory, maker);
  }

  /** The job of a group of this process. */
  jobOf(group: Group, effort: number): RecordJob {
    return recordJob(group, effort, this.maker);
  }

  pathOf({ job }: RecordJob): string {
    return join(this.directory, `${job}.record`);
  }

  /** True when a whole result is there. What is in it has not been decoded. */
  async has(job: RecordJob): Promise<boolean> {
    const found = await this.#usable(job, async () => {
      const { stored } = await openResult(this.pathOf(job), job);
      for await (const _ of stored);
      return true;
    });
    return found ?? false;
  }

  /**
   * The result of a job, in the spool, if there is a good one: it is decoded and compared with the objects' digests, since anybody may have
   * written it. Of a bad one a note is given.
   * @throws OsupdError what the store and the spool throw.
   */
  find(job: RecordJob, store: ObjectReader, spool: Spool, progress: Progress): Promise<EncodedRecord | undefined> {
    const note = (error: OsupdError) =>
      progress({ kind: 'note', text: `${this.pathOf(job)}: ${error.message}; it is made again` });
    return this.#usable(
      job,
      async () => {
        const { codec, stored } = await openResult(this.pathOf(job), job);
        const { usesBases } = codecNamed(codec);
        const spooled = await spool.write(stored);
        await checkRecord(job, codec, copiesOf(spool.read(spooled)), store);
        return { codec, usesBases, spooled };
      },
      note,
    );
  }

  /** Leaves a result, in place of any other: at once, or not at all. */
  async keep(job: RecordJob, { codec, spooled }: EncodedRecord, spool: Spool): Promise<void> {
    const path = this.pathOf(job);
    const temporary = join(this.directory, `.${job.job}-${randomUUID()}`);
    try {
      await using file = await open(temporary, 'wx', 0o644);
      for await (const chunk of encodeResult(job.job, codec, spool.read(spooled))) await file.writeFile(chunk);
      // The checksum tells a file that a power cut has torn: no name needs to be durable.
      await file.sync();
      await rename(temporary, path);
    } catch (error) {
      await rm(temporary, { force: true });
      throw toOsupdError(error, path);
    }
  }

  /** What `read` gives; undefined where there is no result or one that is of no use. */
  async #usable<T>(
    job: RecordJob,
    read: () => Promise<T>,
    note: (error: OsupdError) => void = () => {},
  ): Promise<T | undefined> {
    try {
      return await read();
    } catch (error) {
      if (isSystemError(error, 'ENOENT')) return undefined;
      if (!(error instanceof OsupdError)) throw toOsupdError(error, this.pathOf(job));
      if (error.code !== 'damaged-delta' && error.code !== 'unsupported') throw error;
      note(error);
      return undefined;
    }
  }
}

/** A decoder may still look at a chunk when it asks for the next. */
async function* copiesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) yield Uint8Array.from(chunk);
}
