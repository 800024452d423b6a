/** The repairing part of `osupd fsck`: mends with what is here, and fetches what only the right content mends. */
import type { Digest } from '../core/digest.ts';
import { OsupdError } from '../core/errors.ts';
import type { Configuration } from '../deploy/configuration.ts';
import type { DeviceRoot } from '../deploy/device.ts';
import type { Pool } from '../objects/pool.ts';
import type { Problem, ProblemType } from '../objects/problem.ts';
import type { CliContext } from './context.ts';
import type { Output } from './output.ts';

/** What is checked, and where repairs come from. */
export interface Subject {
  readonly pool: Pool;
  /** The device whose pool it is, and what it is told to follow; undefined for a pool alone. */
  readonly owner?: { readonly device: DeviceRoot; readonly configuration: Configuration };
  readonly needed: ReadonlySet<Digest>;
  /** Addresses of a repository, the preferred first. */
  readonly repository: readonly string[];
}

/** What a repair has brought. */
export interface RepairTotals {
  /** Objects and images that were fetched. */
  fetched: number;
  /** Bytes that were downloaded. */
  downloaded: number;
}

/** Types of problems that only the right content mends. */
const NEED_CONTENT: ReadonlySet<ProblemType> = new Set([
  'missing-object',
  'truncated-object',
  'changed-object',
  'unreadable-object',
]);

/** True where something can be done about a problem. @param round from 0: what somebody still has open stays so in the next round. */
export function isMendable({ type }: Problem, round: number): boolean {
  return type !== 'foreign-file' && (type !== 'still-read' || round === 0);
}

/** Mends what can be; the caller holds the device's lock, and checks again. */
export async function mendProblems(
  subject: Subject,
  problems: readonly Problem[],
  totals: RepairTotals,
  output: Output,
  context: CliContext,
): Promise<void> {
  const { mendPool } = await import('../objects/mend.ts');
  const { pool, owner, needed } = subject;
  if (owner !== undefined) {
    const { mendDevice } = await import('../deploy/integrity/mend-device.ts');
    await mendDevice(owner.device, owner.configuration, problems);
  }
  await mendPool(pool, problems, needed);
  await fetchDamaged(subject, problems, totals, output, context);
}

async function fetchDamaged(
  { pool, needed, repository }: Subject,
  problems: readonly Problem[],
  totals: RepairTotals,
  output: Output,
  context: CliContext,
): Promise<void> {
  const images = problems.flatMap(({ type, digest }) =>
    type.endsWith('-image') && digest !== undefined && needed.has(digest) ? [digest] : [],
  );
  const objects = problems.flatMap(({ type, digest, size }) =>
    NEED_CONTENT.has(type) && digest !== undefined && size !== undefined ? [{ type, digest, size }] : [],
  );
  // One that was only out of its place is back.
  const wanted = objects.filter(({ type, digest, size }) => type !== 'missing-object' || !pool.hasObject(digest, size));
  if (images.length + wanted.length === 0) return;
  if (repository.length === 0) {
    throw new OsupdError('damaged-store', `${images.length + wanted.length} objects and images must be fetched`, {
      where: pool.directory,
      remedy: 'name a repository that has them with --from',
    });
  }
  const { openSource } = await import('../transport/open.ts');
  const { CountingSource } = await import('../transport/counting.ts');
  const { repairPool } = await import('../pull/repair.ts');
  const source = new CountingSource(
    await openSource(repository, {
      userAgent: `osupd/${context.version}`,
      environment: context.environment,
      random: Math.random,
    }),
  );
  try {
    const options = { pool, source, progress: output.progress, signal: context.signal };
    const repaired = await repairPool({ images, objects: wanted }, options);
    for (const { digest, message } of repaired.failed) output.note(`${digest.slice(0, 12)} stays damaged: ${message}`);
    totals.fetched += wanted.length + images.length - repaired.failed.length;
  } finally {
    totals.downloaded += source.bytes;
    await source.close();
  }
}
