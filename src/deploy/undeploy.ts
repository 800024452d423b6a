/** Removing deployments because a user says so. */
import { OsupdError } from '../core/errors.ts';
import { type BootSession, bootedId } from './boot/session.ts';
import type { Configuration } from './configuration.ts';
import { readDeployment, removeDeployment } from './deployment.ts';
import type { DeviceRoot } from './device.ts';
import { forgetFailed } from './failed.ts';
import type { DeploymentReference } from './find-deployment.ts';
import { readLinks } from './links.ts';
import { readPins } from './pins.ts';
import { shownDeployment } from './switch.ts';

/**
 * Removes deployments; all of them, or none when one must stay. Their content stays in the pool until gc. The caller
 * holds the device's lock.
 * That they failed is forgotten.
 * @param session for stacks that are booted.
 * @throws OsupdError `usage` for the booted and the current deployment, one that is mounted and one that is pinned; but a damaged one goes
 *   in any case, for nothing can be pulled beside it. What is mounted of it stays, and gc leaves that.
 */
export function undeploy(
  device: DeviceRoot,
  configuration: Configuration,
  deployments: readonly DeploymentReference[],
  session?: BootSession,
): void {
  for (const each of deployments) refuseNeeded(device, configuration, each, session);
  for (const { stack, id } of deployments) {
    removeDeployment(device, stack, id, session);
    forgetFailed(device, stack, { id });
  }
}

function refuseNeeded(
  device: DeviceRoot,
  configuration: Configuration,
  { stack, id }: DeploymentReference,
  session: BootSession | undefined,
): void {
  const refuse = (what: string, remedy: string): OsupdError =>
    new OsupdError('usage', `this deployment is ${what}`, { where: `${stack}/${id}`, remedy });
  if (session !== undefined && bootedId(session, stack) === id)
    throw refuse('booted', 'boot another one first: osupd rollback');
  if (isDamaged(device, stack, id)) return;
  const configured = configuration.stacks[stack];
  if (readLinks(device, stack).current === id) throw refuse('the current one', 'switch to another one first');
  if (configured !== undefined && shownDeployment(stack, configured) === id)
    throw refuse(`mounted at ${configured.mountpoint}`, 'switch to another one first');
  if (readPins(device, stack).has(id)) throw refuse('pinned', `run osupd unpin ${stack}/${id} first`);
}

function isDamaged(device: DeviceRoot, stack: string, id: string): boolean {
  try {
    readDeployment(device, stack, id);
    return false;
  } catch (error) {
    if (error instanceof OsupdError && error.code === 'damaged-store') return true;
    throw error;
  }
}
