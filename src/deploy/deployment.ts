/**
 * Deployments on the device: made once, never changed (I3), listed, removed.
 *
 * `osupd pull` ends with {@link deployImages}: the images are complete in the pool (I1) by then, so a deployment never names
 * an image that is not there. The caller holds the device's lock ({@link DeviceRoot.lock}) over the pull and this.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { isSystemError, OsupdError, toOsupdError } from '../core/errors.ts';
import { MAX_STACK_IMAGES } from '../core/limits.ts';
import { removeDurably, syncDirectory, syncFileSystem, writeFileDurably } from '../sys/durable.ts';
import { removeEntries } from './boot/prune.ts';
import type { BootSession } from './boot/session.ts';
import {
  type DeployedBoot,
  type DeployedImage,
  type Deployment,
  deploymentFiles,
  deploymentId,
  formatStack,
  isDeploymentId,
  type Origin,
  parseDeployment,
  serialOf,
} from './deployment-files.ts';
import type { DeviceRoot } from './device.ts';
import { removeEtc } from './etc/etc-directory.ts';
import { recoverLinks, removeLink, setLink } from './links.ts';
import { publicAddress } from './public-address.ts';
import { checkStackName } from './stack-name.ts';

/**
 * Makes the deployment of these images the next one of the stack; `osupd switch` puts it in use. A deployment that exists
 * with the same images, arguments and boot files is used again. When that is the current one, nothing is next any more.
 *
 * @param images the topmost first; all of them complete in the device's pool.
 * @param origin noted without passwords and tokens. @param createdAt now, as `2030-01-31T23:59:59Z`.
 * @param options `arguments`: kernel arguments, each one word; `boot`: paths of kernel and initrd, where a release names them.
 * @returns the deployment; it was the current one before, or it is next now.
 * @throws OsupdError `damaged-store` when an image is not in the pool; `no-space`.
 */
export async function deployImages(
  device: DeviceRoot,
  stack: string,
  images: readonly DeployedImage[],
  origin: Origin,
  createdAt: string,
  options: { readonly arguments?: readonly string[]; readonly boot?: DeployedBoot } = {},
): Promise<Deployment> {
  checkStackName(stack);
  checkImages(device, stack, images);
  const links = recoverLinks(device, stack);
  const kept = listDeployments(device, stack);
  const words = options.arguments ?? [];
  const same = kept.filter(
    (each) =>
      formatStack(each.images) === formatStack(images) &&
      each.arguments.join(' ') === words.join(' ') &&
      isDeepStrictEqual(each.boot, options.boot),
  );
  const deployment =
    same.find(({ id }) => id === links.current) ??
    same.find(({ id }) => id === links.next) ??
    same.at(-1) ??
    (await createDeployment(device, {
      schema: 'osupd-deployment/1',
      id: deploymentId(1 + serialOf(kept.at(-1)?.id ?? ''), images),
      stack,
      images,
      createdAt,
      origin: { ...origin, url: publicAddress(origin.url) },
      arguments: words,
      ...(options.boot === undefined ? {} : { boot: options.boot }),
    }));
  if (deployment.id === links.current) removeLink(device, 'next', stack);
  else if (deployment.id !== links.next) setLink(device, 'next', stack, deployment.id);
  return deployment;
}

/** All deployments of a stack, the oldest first. @throws OsupdError `damaged-store` */
export function listDeployments(device: DeviceRoot, stack: string): Deployment[] {
  return listDeploymentIds(device, stack).map((id) => readDeployment(device, stack, id));
}

/** The IDs of all deployments of a stack, the oldest first. */
export function listDeploymentIds(device: DeviceRoot, stack: string): string[] {
  try {
    const names = readdirSync(device.deploymentsDirectory(stack)).filter(isDeploymentId);
    return names.sort((a, b) => serialOf(a) - serialOf(b) || (a < b ? -1 : 1));
  } catch (error) {
    // A stack that is configured but was never pulled.
    if (isSystemError(error, 'ENOENT')) return [];
    throw toOsupdError(error);
  }
}

/** @throws OsupdError `not-found`, `damaged-store` */
export function readDeployment(device: DeviceRoot, stack: string, id: string): Deployment {
  const directory = device.deploymentDirectory(stack, id);
  const damaged = (what: string): OsupdError =>
    new OsupdError('damaged-store', what, {
      where: directory,
      remedy: 'remove it with osupd undeploy, then run osupd pull',
    });
  const read = (name: string): Buffer => {
    try {
      return readFileSync(join(directory, name));
    } catch (error) {
      if (isSystemError(error, 'ENOENT') && existsSync(directory)) throw damaged(`deployment without file "${name}"`);
      throw toOsupdError(error, join(directory, name));
    }
  };
  const deployment = parseDeployment(read('deployment.json'), read('stack').toString('latin1'), directory);
  if (deployment.id === id && deployment.stack === stack) return deployment;
  throw damaged(`this directory holds deployment ${deployment.stack}/${deployment.id}`);
}

/**
 * Removes a deployment and the names it has. Its images and objects stay until gc.
 * The names go first, in the boot menu too: no name ever points to a deployment that is not there.
 * @param session for a stack that is booted: its boot partition.
 */
export function removeDeployment(device: DeviceRoot, stack: string, id: string, session?: BootSession): void {
  const links = recoverLinks(device, stack);
  for (const kind of ['next', 'rollback', 'current'] as const) {
    if (links[kind] === id) removeLink(device, kind, stack);
  }
  removeDurably(join(device.pinsDirectory(stack), id));
  if (session !== undefined) removeFromMenu(session, stack, id);
  removeDurably(device.deploymentDirectory(stack, id));
  removeEtc(device, stack, id);
}

function removeFromMenu({ boot, configuration }: BootSession, stack: string, id: string): void {
  const entries = boot.entries(stack).filter((entry) => entry.id === id);
  if (entries.length > 0) removeEntries(boot, entries, configuration.boot.loader === 'grub');
}

function checkImages(device: DeviceRoot, stack: string, images: readonly DeployedImage[]): void {
  if (images.length === 0 || images.length > MAX_STACK_IMAGES) {
    throw new OsupdError('usage', `a stack has 1 to ${MAX_STACK_IMAGES} images, not ${images.length}`, {
      where: stack,
    });
  }
  for (const { digest, name, version } of images) {
    if (device.pool.hasImage(digest)) continue;
    throw new OsupdError('damaged-store', `the image of ${name} ${version} is not in the pool`, {
      where: device.pool.imagePath(digest),
      remedy: 'run osupd pull again',
      facts: { image: digest },
    });
  }
}

/** Removes what a deployment that was cut off has left. */
export function clearUnfinished(device: DeviceRoot): void {
  rmSync(unfinishedDirectory(device), { recursive: true, force: true });
}

function unfinishedDirectory(device: DeviceRoot): string {
  return join(device.pool.stagingDirectory, 'deployment');
}

/** Written aside and renamed: under its name a deployment is whole, and durable before anything names it. */
async function createDeployment(device: DeviceRoot, deployment: Deployment): Promise<Deployment> {
  const aside = unfinishedDirectory(device);
  const place = device.deploymentDirectory(deployment.stack, deployment.id);
  try {
    clearUnfinished(device);
    mkdirSync(aside);
    // A pull that was killed may have given an image its name without making the name durable.
    syncFileSystem(aside);
    for (const [name, text] of deploymentFiles(deployment)) await writeFileDurably(join(aside, name), text);
    mkdirSync(dirname(place), { recursive: true });
    syncDirectory(dirname(dirname(place)));
    renameSync(aside, place);
    syncDirectory(dirname(place));
  } catch (error) {
    throw toOsupdError(error, place);
  }
  return deployment;
}
