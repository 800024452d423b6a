/**
 * The making of one record as a job that any machine with the objects can do. A job names all that its result depends on, and
 * the SHA-256 of that is its name: the same job gives the same bytes, whoever does it and how often.
 */
import { fromText, toText } from '../../core/bytes.ts';
import { type Digest, isDigest } from '../../core/digest.ts';
import { OsupdError } from '../../core/errors.ts';
import { sha256Of } from '../../core/sha256.ts';
import type { ObjectReference } from '../../tree/references.ts';
import { CODECS } from '../codecs.ts';
import { contentSize, type Group } from '../groups.ts';
import type { Kind } from '../kinds.ts';
import { totalSize } from '../total-size.ts';

export interface JobMember extends ObjectReference {
  /** Its bases, as indexes into those of the job. */
  readonly bases: readonly number[];
  /** Its first name, as text: for people only, and no part of what names the job. */
  readonly path?: string;
}

/** As JSON one line of a plan. */
export interface RecordJob {
  /** SHA-256 of everything below but paths and `bytes`. */
  readonly job: string;
  /** What makes the record: programs of other versions may give other bytes. */
  readonly maker: string;
  /** 1 (fastest) to 9 (smallest). */
  readonly effort: number;
  readonly kind: Kind;
  /** The objects of the record, in the order of their content. */
  readonly members: readonly JobMember[];
  readonly bases: readonly ObjectReference[];
  /** Sum of the members' sizes: how large the job is beside others. */
  readonly bytes: number;
}

/** The `maker` of jobs in this process. @param version of osupd. */
export function makerOf(version: string): string {
  const { zstd, brotli } = process.versions;
  return `osupd ${version} (${CODECS.map(({ name }) => name).join(' ')}), zstd ${zstd}, brotli ${brotli}`;
}

export function recordJob(group: Group, effort: number, maker: string): RecordJob {
  const members = group.members.map(({ object: { digest, size, path }, bases }) => ({
    digest,
    size,
    bases,
    path: toText(path),
  }));
  const bases = group.bases.map(({ digest, size }) => ({ digest, size }));
  const job = { maker, effort, kind: group.kind, members, bases };
  return { job: nameOf(job), ...job, bytes: contentSize(group) };
}

/** What an encoder takes. */
export function groupOf({ kind, members, bases }: RecordJob): Group {
  return {
    kind,
    members: members.map(({ digest, size, bases, path = '' }, number) => ({
      object: { digest, size, number, path: fromText(path), bases: [] },
      bases,
    })),
    bases,
  };
}

/**
 * Reads one line of a plan.
 * @throws OsupdError `usage` for what is no job, or has been changed since it was planned.
 */
export function parseRecordJob(line: string): RecordJob {
  const bad = (why: string) =>
    new OsupdError('usage', `this line is no job: ${why}`, { remedy: 'give the lines as --plan printed them' });
  let job: RecordJob;
  try {
    job = JSON.parse(line) as RecordJob;
  } catch (cause) {
    throw new OsupdError('usage', 'this line is no job: it is no JSON', { cause });
  }
  if (!isRecordJob(job)) throw bad('a field is missing or not what it should be');
  if (nameOf(job) !== job.job) throw bad('its name is not that of its content');
  return job;
}

function isRecordJob(value: unknown): value is RecordJob {
  if (typeof value !== 'object' || value === null) return false;
  const { job, maker, effort, kind, members, bases, bytes } = value as Partial<Record<keyof RecordJob, unknown>>;
  return (
    [job, maker].every((text) => typeof text === 'string') &&
    isCount(effort, 1, 9) &&
    typeof kind === 'string' &&
    Array.isArray(bases) &&
    bases.every(isReference) &&
    Array.isArray(members) &&
    members.length > 0 &&
    members.every((member) => isReference(member) && isMember(member, bases.length)) &&
    bytes === totalSize(members)
  );
}

function isReference(value: unknown): value is { digest: Digest; size: number } {
  if (typeof value !== 'object' || value === null) return false;
  const { digest, size } = value as Partial<Record<'digest' | 'size', unknown>>;
  return typeof digest === 'string' && isDigest(digest) && isCount(size, 1, Number.MAX_SAFE_INTEGER);
}

function isMember(member: object, baseCount: number): boolean {
  const { bases, path } = member as Partial<Record<'bases' | 'path', unknown>>;
  return (
    Array.isArray(bases) &&
    bases.every((index) => isCount(index, 0, baseCount - 1)) &&
    (path === undefined || typeof path === 'string')
  );
}

function isCount(value: unknown, least: number, most: number): boolean {
  return Number.isInteger(value) && (value as number) >= least && (value as number) <= most;
}

/** SHA-256 of the one way to write what the result depends on. */
function nameOf({ maker, effort, kind, members, bases }: Omit<RecordJob, 'job' | 'bytes'>): string {
  const description = [
    maker,
    effort,
    kind,
    members.map(({ digest, size, bases: indexes }) => [digest, size, indexes]),
    bases.map(({ digest, size }) => [digest, size]),
  ];
  return sha256Of(JSON.stringify(description));
}
