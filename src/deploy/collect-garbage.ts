/**
 * gc: removes deployments that are too old, then everything in the pool that nothing needs (I7). The caller holds the device's
 * lock, which a pull and a switch hold too: what they bring is either complete and named by a deployment, or not there yet.
 */
import type { Digest } from '../core/digest.ts';
import { OsupdError } from '../core/errors.ts';
import type { Progress } from '../core/progress.ts';
import { settleReplacedObjects } from '../objects/replaced-files.ts';
import { type SweepResult, sweep } from '../objects/sweep.ts';
import { DownloadCache } from '../pull/download-cache.ts';
import { type BootSession, bootedId } from './boot/session.ts';
import { objectsOfImages } from './completeness.ts';
import type { Configuration, StackConfiguration } from './configuration.ts';
import { clearUnfinished, listDeploymentIds, readDeployment, removeDeployment } from './deployment.ts';
import type { DeviceRoot } from './device.ts';
import { listEtcDirectories, removeEtc } from './etc/etc-directory.ts';
import type { DeploymentReference } from './find-deployment.ts';
import { readLinks, recoverLinks } from './links.ts';
import { imagesOfMounts } from './mounted-images.ts';
import { readPins } from './pins.ts';
import { outdatedDeployments } from './retain.ts';
import { shownDeployment } from './switch.ts';

export interface GarbageOptions {
  /** Find out what would go, but remove nothing. */
  readonly dryRun?: boolean;
  /** For stacks that are booted: the booted deployment stays, and removed ones leave the boot menu. */
  readonly session?: BootSession | undefined;
  readonly progress: Progress;
}

export interface Garbage {
  /** Deployments that went. */
  readonly deployments: readonly DeploymentReference[];
  /** Images and objects that went. */
  readonly freed: SweepResult;
}

/**
 * Removes what nothing needs. Kept is all that the booted, current, next, rollback, pinned, mounted and newest deployments show, and
 * every image that any process still uses through a mount.
 * @throws OsupdError `damaged-store` when it cannot be known what is needed: a deployment or image that cannot be read. Nothing
 *   has gone from the pool then.
 */
export async function collectGarbage(
  device: DeviceRoot,
  configuration: Configuration,
  { dryRun = false, session, progress }: GarbageOptions,
): Promise<Garbage> {
  const stacks = device.stacks();
  const old = stacks.flatMap((stack) => outdated(device, configuration, stack, { dryRun, session }));
  const isOld = new Set(old.map(({ stack, id }) => `${stack}/${id}`));
  const needed = stacks.flatMap((stack) =>
    listDeploymentIds(device, stack)
      .filter((id) => !isOld.has(`${stack}/${id}`))
      .flatMap((id) => readDeployment(device, stack, id).images.map(({ digest }) => digest)),
  );
  const images = new Set<Digest>([...needed, ...imagesOfMounts(device.pool, { dryRun })]);
  const objects = await objectsOfImages(device.pool, images);
  if (!dryRun) {
    settleReplacedObjects(device.pool.stagingDirectory);
    for (const { stack, id } of old) removeDeployment(device, stack, id, session);
    for (const stack of stacks) removeLeftEtc(device, stack);
    clearUnfinished(device);
    new DownloadCache(device.pool.stagingDirectory).clear();
  }
  const keep = { images, objects: new Set(objects.map(({ digest }) => digest)) };
  return { deployments: old, freed: await sweep(device.pool, keep, { dryRun, progress }) };
}

/** A removal that was cut off has left the /etc of a deployment that is no more. */
function removeLeftEtc(device: DeviceRoot, stack: string): void {
  const ids = new Set(listDeploymentIds(device, stack));
  for (const id of listEtcDirectories(device, stack)) if (!ids.has(id)) removeEtc(device, stack, id);
}

function outdated(
  device: DeviceRoot,
  { stacks, keep }: Configuration,
  stack: string,
  { dryRun, session }: Omit<GarbageOptions, 'progress'>,
): DeploymentReference[] {
  const shown = shownOrCovered(stack, stacks[stack]);
  return outdatedDeployments({
    ids: listDeploymentIds(device, stack),
    links: dryRun ? readLinks(device, stack) : recoverLinks(device, stack),
    pinned: readPins(device, stack),
    inUse: new Set([shown, session && bootedId(session, stack)].filter((id) => id !== undefined)),
    keep,
  }).map((id) => ({ stack, id }));
}

function shownOrCovered(stack: string, configured: StackConfiguration | undefined): string | undefined {
  try {
    return configured && shownDeployment(stack, configured);
  } catch (error) {
    // Another mount covers the stack. Which deployment it is cannot be said, but its images count as used all the same.
    if (error instanceof OsupdError && error.code === 'busy') return undefined;
    throw error;
  }
}
