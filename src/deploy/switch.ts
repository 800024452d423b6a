/**
 * Which deployment of a stack shows, and changing it: switch, rollback, and showing it again after a start of the machine.
 *
 * The link `current` decides; the mount follows it. So a switch is safe in this order: check that the deployment is
 * complete, mount it where nobody sees it and read from it, record it (links.ts), attach it beneath the old one. Power that
 * fails before the record leaves the old deployment; after it, the start of the machine mounts the new one. A process that
 * is killed between record and attachment leaves the old one mounted: the next switch or mount finishes it.
 *
 * The caller holds the device's lock ({@link DeviceRoot.lock}).
 */
import { mkdirSync } from 'node:fs';
import { isSystemError, OsupdError, toOsupdError } from '../core/errors.ts';
import type { Progress } from '../core/progress.ts';
import { checkComplete } from './completeness.ts';
import { type Configuration, type StackConfiguration, stackNamed } from './configuration.ts';
import { readDeployment } from './deployment.ts';
import type { Deployment } from './deployment-files.ts';
import type { DeviceRoot } from './device.ts';
import { makeCurrent, readLinks, recoverLinks, type StackLinks } from './links.ts';
import { attachedStack, switchLive } from './live.ts';
import { mountStack } from './stack-mount.ts';

export interface SwitchOptions {
  /** Also a stack that is configured to switch when the machine starts. */
  readonly live?: boolean;
  /** Read every object first and compare its digest; false: none. Left out: those that nothing vouches for. */
  readonly verify?: boolean | undefined;
  /** The time: what was read lately is not read again. */
  readonly now?: Date | undefined;
  /** Find out and check, but change nothing. */
  readonly dryRun?: boolean;
  readonly progress: Progress;
  readonly signal?: AbortSignal;
}

/** A change of the deployment that shows at a stack's mountpoint. */
export interface StackChange {
  readonly stack: string;
  readonly mountpoint: string;
  /** ID of the deployment that showed before; undefined for none. */
  readonly from: string | undefined;
  readonly to: Deployment;
}

/**
 * Puts the next deployments of some stacks in use; or the current one, where a live stack does not show it. All are checked
 * before the first is switched; each is then switched in one step of its own.
 * @returns what was changed; nothing for a stack that has nothing to do.
 * @throws OsupdError `unsupported` for a stack that switches at the start of the machine, for a kernel that cannot and without
 *   root; `damaged-store`; what mounting throws. Then no stack has changed, or only those before the one in `where`.
 */
export async function switchStacks(
  device: DeviceRoot,
  configuration: Configuration,
  names: readonly string[],
  options: SwitchOptions,
): Promise<StackChange[]> {
  const changes: StackChange[] = [];
  for (const name of names) {
    const links = linksOf(device, configuration, name, options);
    // What a stack shows that switches when the machine starts is not for this command to mend.
    const shown = stackNamed(configuration, name).switch === 'live' || options.live ? links.current : undefined;
    const change = await planChange(device, configuration, name, links.next ?? shown, options);
    if (change !== undefined) changes.push(change);
  }
  for (const change of changes) await applyChange(device, configuration, change, options);
  return changes;
}

/** {@link switchStacks} for one stack. */
export async function switchStack(
  device: DeviceRoot,
  configuration: Configuration,
  name: string,
  options: SwitchOptions,
): Promise<StackChange | undefined> {
  const [change] = await switchStacks(device, configuration, [name], options);
  return change;
}

/**
 * Goes back to the deployment that was current before; a second rollback returns.
 * @param to ID of another deployment of the stack to go to.
 * @throws OsupdError `not-found` when there is none; else as {@link switchStacks}.
 */
export async function rollbackStack(
  device: DeviceRoot,
  configuration: Configuration,
  name: string,
  to: string | undefined,
  options: SwitchOptions,
): Promise<StackChange | undefined> {
  const target = to ?? linksOf(device, configuration, name, options).rollback;
  if (target === undefined) {
    throw new OsupdError('not-found', 'there is no deployment to go back to', {
      where: name,
      remedy: 'osupd status lists what there is; osupd rollback --to ID takes any of it',
    });
  }
  const change = await planChange(device, configuration, name, target, options);
  if (change !== undefined) await applyChange(device, configuration, change, options);
  return change;
}

/**
 * Shows the current deployment of a stack, as a start of the machine needs it. Does nothing where it shows already.
 * @throws OsupdError as {@link switchStacks}.
 */
export async function mountCurrent(
  device: DeviceRoot,
  configuration: Configuration,
  name: string,
  options: SwitchOptions,
): Promise<StackChange | undefined> {
  const { current } = linksOf(device, configuration, name, options);
  // The start of the machine does not wait until everything is read; the switch has done that.
  const change = await planChange(device, configuration, name, current, {
    ...options,
    verify: options.verify ?? false,
  });
  if (change !== undefined) await applyChange(device, configuration, change, options);
  return change;
}

/** ID of the deployment of a stack that shows at its mountpoint; undefined where none does. @throws OsupdError `busy` where another mount covers it. */
export function shownDeployment(name: string, { mountpoint }: StackConfiguration): string | undefined {
  try {
    const identity = attachedStack(mountpoint)?.identity;
    return identity?.stack === name ? identity.deployment : undefined;
  } catch (error) {
    if (error instanceof OsupdError && error.code === 'not-found') return undefined;
    throw error;
  }
}

/** The links as they are meant; written down, too, where something is going to change. */
function linksOf(
  device: DeviceRoot,
  configuration: Configuration,
  name: string,
  { dryRun }: SwitchOptions,
): StackLinks {
  stackNamed(configuration, name);
  return dryRun ? readLinks(device, name) : recoverLinks(device, name);
}

/** Finds out what has to be done to show a deployment, and whether it can be. Undefined: nothing, it shows already. */
async function planChange(
  device: DeviceRoot,
  configuration: Configuration,
  name: string,
  id: string | undefined,
  options: SwitchOptions,
): Promise<StackChange | undefined> {
  const stack = stackNamed(configuration, name);
  if (id === undefined) return undefined;
  const from = shownDeployment(name, stack);
  if (from === id && readLinks(device, name).current === id) return undefined;
  if (!options.live || stack.mountpoint === '/') refuseBootStack(name, stack);
  const to = readDeployment(device, name, id);
  await checkComplete(device.pool, to.images, options);
  return { stack: name, mountpoint: stack.mountpoint, from, to };
}

/** Mounts unseen, records, attaches: the order that the file header explains. */
async function applyChange(
  device: DeviceRoot,
  { verity }: Configuration,
  { mountpoint, from, to: { stack, id, images } }: StackChange,
  { dryRun }: SwitchOptions,
): Promise<void> {
  if (dryRun) return;
  if (from === id) return makeCurrent(device, stack, id, () => {});
  using mounted = mountStack({
    images: images.map(({ digest }) => device.pool.imagePath(digest)),
    pool: device.pool.objectsDirectory,
    verity,
    identity: { stack, deployment: id },
  });
  await makeCurrent(device, stack, id, () => {
    makeMountpoint(mountpoint);
    switchLive(mountpoint, mounted);
  });
}

function makeMountpoint(path: string): void {
  try {
    mkdirSync(path, { recursive: true });
  } catch (error) {
    if (isSystemError(error, 'EEXIST')) {
      throw new OsupdError('usage', 'the mountpoint is not a directory', { where: path, cause: error });
    }
    throw toOsupdError(error, path);
  }
}

function refuseBootStack(name: string, { mountpoint, switch: mode }: StackConfiguration): void {
  if (mode === 'live' && mountpoint !== '/') return;
  throw new OsupdError('unsupported', `stack ${name} switches when the machine starts, not under its readers`, {
    where: mountpoint,
    remedy:
      mountpoint === '/'
        ? 'switch it with osupd switch --boot'
        : 'switch it with --boot, or under its readers with --live',
    facts: { feature: 'live switch' },
  });
}
