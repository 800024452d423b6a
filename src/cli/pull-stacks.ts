/** Pulls what the stacks want and makes it their next deployments: the common part of pull and upgrade. */
import { deployImages, readDeployment } from '../deploy/deployment.ts';
import type { DeployedBoot, Deployment } from '../deploy/deployment-files.ts';
import type { DeviceRoot } from '../deploy/device.ts';
import { readLinks } from '../deploy/links.ts';
import { type PullPlan, type PullSummary, pull } from '../pull/pull.ts';
import { formatTime } from '../repository/json-fields.ts';
import type { CliContext } from './context.ts';
import { formatBytes, type Output } from './output.ts';
import { pullJob } from './pull-job.ts';
import { planText } from './pull-report.ts';
import { describeUpdate, type StackUpdate, type Updates } from './updates.ts';

interface PulledStack {
  readonly update: StackUpdate;
  readonly deployment: Deployment;
}

export interface PulledStacks {
  readonly stacks: readonly PulledStack[];
  readonly summary: PullSummary;
}

/** The stacks that a pull changes. */
function stacksToPull({ stacks }: Updates): StackUpdate[] {
  return stacks.filter(({ state }) => state === 'available' || state === 'withdrawn');
}

/**
 * The caller holds the device's lock, and keeps it for what it does next with the deployments.
 * @throws OsupdError as `pull` does
 */
export async function pullStacks(updates: Updates, output: Output, context: CliContext): Promise<PulledStacks> {
  const { device, configuration } = updates;
  const onPlan = (plan: PullPlan) => {
    if (output.verbose && plan.images.length > 0) output.note(planText(plan));
  };
  const summary = await pull({ ...pullJob(updates, output, context), onPlan });
  const origin = { url: configuration.url[0] ?? '', channel: configuration.channel };
  const createdAt = formatTime(context.now());
  const stacks: PulledStack[] = [];
  for (const update of stacksToPull(updates)) {
    const images = update.images.map(({ name, version, digest }) => ({ name, version, digest }));
    const words = update.images.flatMap(({ release }) => release?.boot?.arguments?.split(/\s+/).filter(Boolean) ?? []);
    const deployment = await deployImages(device, update.stack, images, origin, createdAt, {
      arguments: words,
      ...bootOf(device, update),
    });
    stacks.push({ update, deployment });
  }
  return { stacks, summary };
}

/** Kernel and initrd as the topmost image that has them says; what the rollout holds back keeps what its deployment says. */
function bootOf(device: DeviceRoot, { stack, images }: StackUpdate): { boot?: DeployedBoot } {
  const release = images.find((image) => image.release?.boot !== undefined)?.release?.boot;
  if (release !== undefined) {
    const { kernel, initrd } = release;
    return { boot: { kernel, ...(initrd === undefined ? {} : { initrd }) } };
  }
  const { current } = readLinks(device, stack);
  if (images.every((image) => image.release !== undefined) || current === undefined) return {};
  const { boot } = readDeployment(device, stack, current);
  return boot === undefined ? {} : { boot };
}

export function pulledReport({ stacks, summary }: PulledStacks): object {
  const { downloaded, added, recovered } = summary;
  return {
    downloaded,
    added,
    recovered,
    deployments: stacks.map(({ update, deployment }) => ({
      stack: update.stack,
      deployment: deployment.id,
      images: update.images.map(({ name, version, digest, before }) => ({
        name,
        from: before ?? null,
        to: version,
        digest,
      })),
    })),
  };
}

export function pulledText({ stacks, summary }: PulledStacks): string {
  const { downloaded, added } = summary;
  const what = `downloaded ${formatBytes(downloaded)}; ${added.count} new objects, ${formatBytes(added.bytes)}`;
  return [...stacks.map(stackText), what].join('\n');
}

function stackText({ update, deployment }: PulledStack): string {
  const what = describeUpdate(update);
  if (update.state === 'withdrawn') return `${update.stack}: stays at ${what}; what was pulled is not offered any more`;
  return `${update.stack}: ${what}, next deployment is ${deployment.id}`;
}
