/**
 * `ROOT/integrity.json`: what was read and compared when, how far a verification in the background has come, and what it found
 * (docs/integrity.md). Nothing depends on it but how soon something is read again: without it everything is.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { type Digest, isDigest } from '../../core/digest.ts';
import { isSystemError, OsupdError, toOsupdError } from '../../core/errors.ts';
import { MAX_RECORDED_PROBLEMS } from '../../core/limits.ts';
import type { Amount } from '../../objects/ingest.ts';
import type { Problem, ProblemType } from '../../objects/problem.ts';
import { encodeDocument, formatTime, type JsonFields, parseDocument } from '../../repository/json-fields.ts';
import { writeFileDurably } from '../../sys/durable.ts';
import { acquireLock, type Lock } from '../../sys/lock.ts';

/** A round over everything in the pool. Times are UTC, `2030-01-31T23:59:59Z`. */
export interface Round {
  readonly startedAt: string;
  readonly objects: number;
  /** Of the objects. */
  readonly bytes: number;
}

export interface FullRound extends Round {
  readonly finishedAt: string;
}

export interface RunningRound extends Round {
  /** The last object that was read; they are read in the order of their digests. */
  readonly position: string;
}

/** Something that was found damaged and not repaired since. */
export interface RecordedProblem {
  readonly type: ProblemType;
  /** Relative to the root. */
  readonly path: string;
  readonly digest: Digest;
  readonly detail: string;
  /** Images that name the object, or the image itself. */
  readonly images: readonly Digest[];
}

export interface IntegrityRecord {
  readonly schema: 'osupd-integrity/1';
  /** The last full round that ended. */
  readonly verified?: FullRound;
  /** A round in the background that is not at its end. */
  readonly running?: RunningRound;
  /** When all objects of an image were read and found good, before a switch to it. */
  readonly images: Readonly<Record<Digest, string>>;
  readonly damaged: readonly RecordedProblem[];
}

const EMPTY: IntegrityRecord = { schema: 'osupd-integrity/1', images: {}, damaged: [] };

const NAME = 'integrity.json';
const LOCK = 'integrity.lock';
const FIELDS = ['schema', 'critical', 'verified', 'running', 'images', 'damaged'];
const MAX_IMAGES = 1000;

/** Problems whose object or image does not have the content it should have. */
const DAMAGE: readonly ProblemType[] = [
  'missing-object',
  'truncated-object',
  'changed-object',
  'unreadable-object',
  'missing-image',
  'changed-image',
  'damaged-image',
];

/** The record; an empty one where there is none, or it cannot be understood. @throws OsupdError `io` */
export function readRecord(directory: string): IntegrityRecord {
  const path = join(directory, NAME);
  try {
    return parseRecord(readFileSync(path), path);
  } catch (error) {
    if (isSystemError(error, 'ENOENT') || isSystemError(error, 'EACCES')) return EMPTY;
    if (error instanceof OsupdError && error.code === 'damaged-store') return EMPTY;
    throw toOsupdError(error, path);
  }
}

function parseRecord(bytes: Uint8Array, where: string): IntegrityRecord {
  const fields = parseDocument(bytes, EMPTY.schema, FIELDS, (what) => new OsupdError('damaged-store', what, { where }));
  const round = (from: JsonFields): Round => ({
    startedAt: from.time('startedAt'),
    objects: from.integer('objects'),
    bytes: from.integer('bytes'),
  });
  const verified = fields.has('verified') ? fields.object('verified') : undefined;
  const running = fields.has('running') ? fields.object('running') : undefined;
  const images = fields.object('images');
  return {
    schema: EMPTY.schema,
    ...(verified && { verified: { ...round(verified), finishedAt: verified.time('finishedAt') } }),
    ...(running && { running: { ...round(running), position: running.string('position') } }),
    images: Object.fromEntries(images.names(isDigest, MAX_IMAGES).map((name) => [name, images.time(name)])),
    damaged: fields.objects('damaged', MAX_RECORDED_PROBLEMS).map((each) => ({
      type: each.string('type') as ProblemType,
      path: each.string('path'),
      digest: each.digest('digest'),
      detail: each.string('detail'),
      images: each.digests('images', MAX_IMAGES),
    })),
  };
}

/** Changes the record, alone. Where the root cannot be written to, nothing is noted. @throws OsupdError `io`, `no-space` */
export async function updateRecord(
  directory: string,
  change: (record: IntegrityRecord) => IntegrityRecord,
): Promise<void> {
  try {
    using _lock = await waitForLock(join(directory, LOCK));
    const { damaged, images, ...rest } = change(readRecord(directory));
    const newest = Object.entries(images).sort(([, a], [, b]) => (a < b ? 1 : -1));
    const record = {
      ...rest,
      images: Object.fromEntries(newest.slice(0, MAX_IMAGES)),
      damaged: damaged.slice(0, MAX_RECORDED_PROBLEMS),
    };
    await writeFileDurably(join(directory, NAME), encodeDocument(record));
  } catch (error) {
    if (!(error instanceof OsupdError) || !isSystemError(error.cause, 'EROFS')) throw error;
  }
}

/** A full check that has ended. */
export interface Verification {
  readonly startedAt: Date;
  readonly finishedAt: Date;
  readonly objects: Amount;
  readonly problems: readonly Problem[];
}

/** Notes a full check: what it did not find damaged is not. */
export function recordVerification(directory: string, verification: Verification): Promise<void> {
  const { startedAt, finishedAt, objects, problems } = verification;
  const verified: FullRound = {
    startedAt: formatTime(startedAt),
    finishedAt: formatTime(finishedAt),
    objects: objects.count,
    bytes: objects.bytes,
  };
  return updateRecord(directory, ({ schema, images }) => ({ schema, verified, images, damaged: recorded(problems) }));
}

/** The problems among some that are damage to content. */
export function recorded(problems: readonly Problem[]): RecordedProblem[] {
  return problems.flatMap(({ type, path, digest, detail, images }) =>
    digest === undefined || !DAMAGE.includes(type) ? [] : [{ type, path, digest, detail, images }],
  );
}

const ATTEMPTS = 100;
const PAUSE_MS = 20;

/** The lock is held for the time of one small write only. */
async function waitForLock(path: string): Promise<Lock> {
  for (let attempt = 1; ; attempt++) {
    try {
      return acquireLock(path, 'exclusive');
    } catch (error) {
      if (attempt === ATTEMPTS || !(error instanceof OsupdError) || error.code !== 'busy') throw error;
    }
    await setTimeout(PAUSE_MS);
  }
}
