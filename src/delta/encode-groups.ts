/** The records of a delta: what jobs have left is taken, the rest is encoded. */
import { OsupdError } from '../core/errors.ts';
import type { Progress } from '../core/progress.ts';
import type { EncodedRecord, Encoder } from './encoder.ts';
import { contentSize, type Group } from './groups.ts';
import type { JobResults } from './jobs/job-results.ts';
import type { RecordJob } from './jobs/record-job.ts';
import type { ObjectReader } from './object-reader.ts';
import type { Spool } from './spool.ts';
import { sum } from './total-size.ts';

export interface EncodeGroupsOptions {
  readonly encoder: Encoder;
  readonly spool: Spool;
  readonly store: ObjectReader;
  readonly effort: number;
  /** Where results of jobs are, and where those that are made here are left too. */
  readonly results: JobResults | undefined;
  readonly progress: Progress;
}

/** Encodes all groups; the results are in their order. @throws OsupdError what the store, the spool and the results throw. */
export async function encodeGroups(groups: readonly Group[], options: EncodeGroupsOptions): Promise<EncodedRecord[]> {
  const { effort, results, progress } = options;
  const jobs = results === undefined ? undefined : groups.map((group) => results.jobOf(group, effort));
  const encoded = jobs === undefined ? [] : await findResults(jobs, options);
  const step = 'encode';
  const sizes = groups.map(contentSize);
  // Those that take longest first: no thread has much to do alone in the end.
  const missing = [...groups.keys()].filter((index) => encoded[index] === undefined);
  missing.sort((a, b) => sizes[b]! - sizes[a]!);
  progress({ kind: 'start', step, unit: 'bytes', total: sum(missing.map((index) => sizes[index]!)) });
  let done = 0;
  const settled = await Promise.allSettled(
    missing.map(async (index) => {
      encoded[index] = await encodeGroup(groups[index]!, jobs?.[index], options);
      done += sizes[index]!;
      progress({ kind: 'advance', step, done });
    }),
  );
  throwFirstFailure(settled);
  progress({ kind: 'finish', step, done });
  return encoded as EncodedRecord[];
}

/** One after the other: a result may need as much memory to decode as to make. */
async function findResults(
  jobs: readonly RecordJob[],
  { results, store, spool, progress }: EncodeGroupsOptions,
): Promise<(EncodedRecord | undefined)[]> {
  const step = 'check results';
  const found: (EncodedRecord | undefined)[] = [];
  progress({ kind: 'start', step, unit: 'items', total: jobs.length });
  for (const job of jobs) {
    found.push(await results?.find(job, store, spool, progress));
    progress({ kind: 'advance', step, done: found.length });
  }
  progress({ kind: 'finish', step, done: found.length });
  return found;
}

async function encodeGroup(
  group: Group,
  job: RecordJob | undefined,
  { encoder, spool, results }: EncodeGroupsOptions,
): Promise<EncodedRecord> {
  const record = await encoder.encodeRecord(group, spool);
  if (job !== undefined) await results?.keep(job, record, spool);
  return record;
}

/** Throws what made work fail; others are given up then, which says nothing. */
export function throwFirstFailure(settled: readonly PromiseSettledResult<unknown>[]): void {
  const reasons = settled.flatMap((one) => (one.status === 'rejected' ? [one.reason as unknown] : []));
  const isStopped = (reason: unknown) => reason instanceof OsupdError && reason.code === 'interrupted';
  if (reasons.length > 0) throw reasons.find((reason) => !isStopped(reason)) ?? reasons[0];
}
