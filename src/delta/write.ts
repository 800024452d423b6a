/** Writes a delta from some images to others. docs/formats/delta.md has the format. */

import type { Digest } from '../core/digest.ts';
import { OsupdError } from '../core/errors.ts';
import { MAX_DELTA_IMAGES } from '../core/limits.ts';
import type { Progress } from '../core/progress.ts';
import { sha256Of } from '../core/sha256.ts';
import { objectsOf } from '../tree/references.ts';
import type { Tree } from '../tree/tree.ts';
import { chooseGroups } from './choose-groups.ts';
import { zstdLevel } from './codecs/zstd.ts';
import { compressFrame, windowLogFor } from './codecs/zstd-frame.ts';
import { encodeGroups } from './encode-groups.ts';
import { type EncodedRecord, Encoder } from './encoder.ts';
import type { Group } from './groups.ts';
import { type DeltaRecord, encodeHeader, type ImagePart } from './header.ts';
import { encodeImagePart } from './image-section.ts';
import type { JobResults } from './jobs/job-results.ts';
import { type RecordJob, recordJob } from './jobs/record-job.ts';
import { type ObjectOrder, orderObjects } from './object-order.ts';
import type { ObjectReader } from './object-reader.ts';
import { encodePrologue } from './prologue.ts';
import { Spool } from './spool.ts';
import { type DeltaSummary, summarizeRecords } from './summary.ts';

export type { ObjectReader } from './object-reader.ts';
export type { DeltaSummary } from './summary.ts';

export interface DeltaImage {
  readonly digest: Digest;
  readonly bytes: Uint8Array;
  /** As `decodeImage` gives it for `bytes`: the device has no other. */
  readonly tree: Tree;
}

export interface DeltaJob {
  /** Images that the device will have; none for a delta that starts from nothing. */
  readonly from: readonly DeltaImage[];
  readonly to: readonly DeltaImage[];
  /** Has the objects of all images. */
  readonly store: ObjectReader;
  /** Takes the delta's bytes in order; each chunk is valid until the promise is fulfilled. */
  readonly out: (chunk: Uint8Array) => Promise<void>;
  /** 1 (fastest) to 9 (smallest). */
  readonly effort: number;
  /** Number of threads; all cores by default. The same job gives the same bytes with any number. */
  readonly workers?: number;
  /** A directory with room for the delta: its records are kept there until the header before them can be written. */
  readonly scratch: string;
  /** Results of {@link planJobs}' jobs: those that are there are used, and those of the others are left there. */
  readonly results?: JobResults | undefined;
  readonly progress: Progress;
}

/**
 * Writes a delta.
 * @throws OsupdError `usage` for images that make no delta; `damaged-store` when an object is missing.
 */
export async function writeDelta(job: DeltaJob): Promise<DeltaSummary> {
  const { order, groups } = await planGroups(job);
  await using encoder = new Encoder(job.store, job.effort, job.workers);
  await using spool = await Spool.create(job.scratch);
  const images = await encodeImages(job, encoder);
  const { store, effort, results, progress } = job;
  const encoded = await encodeGroups(groups, { encoder, spool, store, effort, results, progress });
  const records = recordsOf(groups, encoded, order);
  const head = encodeHead(job, images, records);
  const size = head.length + records.reduce((sum, { stored }) => sum + stored, 0);
  await job.out(head);
  for (const { spooled } of encoded) for await (const chunk of spool.read(spooled)) await job.out(chunk);
  return {
    size,
    head: { size: head.length, sha256: sha256Of(head) },
    imageBytes: images.reduce((sum, { stored }) => sum + stored.length, 0),
    ...summarizeRecords(groups, records),
  };
}

/**
 * The jobs that make a delta's records, the largest first.
 * @param maker as `makerOf` gives it.
 * @throws OsupdError as {@link writeDelta}.
 */
export async function planJobs(job: PlannedDelta, effort: number, maker: string): Promise<RecordJob[]> {
  const { groups } = await planGroups(job);
  return groups.map((group) => recordJob(group, effort, maker)).sort((a, b) => b.bytes - a.bytes);
}

/** What the records of a delta follow from, together with the effort. */
export type PlannedDelta = Pick<DeltaJob, 'from' | 'to' | 'store' | 'workers' | 'progress'>;

async function planGroups(job: PlannedDelta): Promise<{ order: ObjectOrder; groups: Group[] }> {
  checkImages(job);
  const order = orderObjects(treesOf(job.from).map(objectsOf), treesOf(job.to).map(objectsOf));
  const { store, workers, progress } = job;
  const groups = await chooseGroups({ from: treesOf(job.from), to: treesOf(job.to), order, store, workers, progress });
  return { order, groups };
}

function checkImages({ from, to }: PlannedDelta): void {
  const refuse = (message: string) => new OsupdError('usage', message);
  if (to.length === 0) throw refuse('a delta must lead to an image');
  for (const images of [from, to]) {
    if (images.length > MAX_DELTA_IMAGES) throw refuse(`a delta with more than ${MAX_DELTA_IMAGES} images on one side`);
    if (new Set(images.map(({ digest }) => digest)).size < images.length) throw refuse('a delta names an image twice');
  }
}

function treesOf(images: readonly DeltaImage[]): Tree[] {
  return images.map(({ tree }) => tree);
}

async function encodeImages({ from, to, progress }: DeltaJob, encoder: Encoder) {
  const step = 'compare images';
  progress({ kind: 'start', step, unit: 'items', total: to.length });
  const images: { part: ImagePart; stored: Uint8Array }[] = [];
  for (const [index, image] of to.entries())
    images.push(
      await encodeImagePart(image, [...from, ...to.slice(0, index)], (target, base) =>
        encoder.encodeBytes(target, base),
      ),
    );
  progress({ kind: 'finish', step, done: to.length });
  return images;
}

function recordsOf(
  groups: readonly Group[],
  encoded: readonly EncodedRecord[],
  { old, fresh }: ObjectOrder,
): DeltaRecord[] {
  const numbers = new Map([...old, ...fresh].map(({ digest }, number) => [digest, number]));
  return groups.map(({ members, bases }, index) => {
    const { codec, usesBases, spooled } = encoded[index]!;
    return {
      members: members.map(({ object }) => object.number),
      codec,
      bases: usesBases ? bases.map(({ digest }) => numbers.get(digest)!) : [],
      stored: spooled.length,
    };
  });
}

function encodeHead(
  { from, to, effort }: DeltaJob,
  images: readonly { part: ImagePart; stored: Uint8Array }[],
  records: readonly DeltaRecord[],
): Buffer {
  const digests = (list: readonly DeltaImage[]) => list.map(({ digest }) => digest);
  const header = encodeHeader({
    from: digests(from),
    to: digests(to),
    images: images.map(({ part }) => part),
    records,
  });
  const frame = compressFrame(header, { level: zstdLevel(effort), windowLog: windowLogFor(header.length) });
  const section = images.map(({ stored }) => stored);
  const prologue = encodePrologue({
    headerStored: frame.length,
    headerRaw: header.length,
    images: totalLength(section),
    payload: records.reduce((sum, { stored }) => sum + stored, 0),
  });
  return Buffer.concat([prologue, frame, ...section]);
}

function totalLength(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, { length }) => sum + length, 0);
}
