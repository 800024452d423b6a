/** What check and pull tell: as text and as data. */
import { countOf } from '../core/count.ts';
import { OsupdError } from '../core/errors.ts';
import type { PullPlan } from '../pull/pull.ts';
import type { Way } from '../pull/ways.ts';
import { formatBytes } from './output.ts';
import { describeUpdate, type StackUpdate } from './updates.ts';

/** A stack, for `--json`. */
export function stackReport({ stack, state, images, held, failed }: StackUpdate): object {
  return {
    stack,
    state,
    images: images.map(({ name, version, digest, before }) => ({ name, from: before ?? null, to: version, digest })),
    ...(failed === undefined ? {} : { failed: { deployment: failed.id, at: failed.at, why: failed.why } }),
    ...(held === undefined ? {} : { heldBack: { reason: held.message, ...held.facts } }),
  };
}

/** A plan, for `--json`. */
export function planReport(plan: PullPlan): object {
  return {
    download: { bytes: plan.planning + plan.bytes, planning: plan.planning, requests: plan.requests },
    space: plan.space,
    plan: plan.images.map(({ release, way, others, missing }) => ({
      name: release.name,
      version: release.version,
      digest: release.image.digest,
      objects: { count: missing.length, bytes: missing.reduce((sum, { size }) => sum + size, 0) },
      way,
      others,
    })),
  };
}

/** What is to be downloaded, in one phrase. */
export function downloadText({ planning, bytes }: PullPlan): string {
  return `${formatBytes(planning + bytes)} to download`;
}

/** The ways of each image and the forecast, line by line. */
export function planText(plan: PullPlan): string {
  const lines = plan.images.flatMap(({ release, way, others }) => [
    `${release.name} ${release.version}:`,
    `  takes ${wayText(way)}`,
    ...others.map((other) => `  not   ${wayText(other)}`),
  ]);
  const { space, planning } = plan;
  return [
    ...lines,
    `${downloadText(plan)}${planning === 0 ? '' : `, ${formatBytes(planning)} of it were for this plan`}`,
    `${formatBytes(space.bytes)} and ${space.inodes} inodes to store`,
  ].join('\n');
}

const KINDS: Readonly<Record<Way['kind'], string>> = {
  delta: 'a delta',
  chain: 'a chain of deltas',
  full: 'a full delta',
  objects: 'single objects',
};

function wayText({ kind, bytes, requests, exact, files }: Way): string {
  const name = `${KINDS[kind]}${files.length > 1 ? ` (${files.length} files)` : ''}`;
  if (!exact) return `${name}: at least ${formatBytes(bytes)}, not looked into`;
  return `${name}: ${formatBytes(bytes)} in ${countOf(requests, 'request')}`;
}

/** The end of a command that found nothing to do: exit status 3, or 11 where the rollout is the reason. */
export function nothingNew(stacks: readonly StackUpdate[]): OsupdError {
  const failed = stacks.filter((update) => update.failed !== undefined);
  if (failed.length > 0) {
    const what = failed.map(
      (update) => `${update.stack}: ${describeUpdate(update)} failed here: ${update.failed?.why}`,
    );
    return new OsupdError('nothing-to-do', what.join('; '), {
      remedy: 'osupd pull --retry takes it again',
      facts: { failed: failed.map(({ stack, failed: record }) => ({ stack, deployment: record?.id })) },
    });
  }
  const held = stacks.find((update) => update.held !== undefined)?.held;
  if (held !== undefined) return held;
  const what = stacks.map((update) => `${update.stack} has ${describeUpdate(update)}`).join('; ');
  return new OsupdError('nothing-to-do', `up to date: ${what}`);
}
