/** Pins: deployments that gc never removes. A pin is a symlink `pins/STACK/ID` to the deployment. */
import { mkdirSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isSystemError, toOsupdError } from '../core/errors.ts';
import { removeDurably, replaceSymlinkDurably, syncDirectory } from '../sys/durable.ts';
import { isDeploymentId } from './deployment-files.ts';
import type { DeviceRoot } from './device.ts';

/** IDs of the pinned deployments of a stack. */
export function readPins(device: DeviceRoot, stack: string): Set<string> {
  try {
    return new Set(readdirSync(device.pinsDirectory(stack)).filter(isDeploymentId));
  } catch (error) {
    // A stack that never had a pin.
    if (isSystemError(error, 'ENOENT')) return new Set();
    throw toOsupdError(error);
  }
}

/** Pins a deployment that exists. @returns false when it was pinned already. */
export function pin(device: DeviceRoot, stack: string, id: string): boolean {
  if (readPins(device, stack).has(id)) return false;
  const directory = device.pinsDirectory(stack);
  mkdirSync(directory, { recursive: true });
  syncDirectory(dirname(directory));
  replaceSymlinkDurably(join(directory, id), `../../deployments/${stack}/${id}`);
  return true;
}

/** @returns false when it was not pinned. */
export function unpin(device: DeviceRoot, stack: string, id: string): boolean {
  if (!readPins(device, stack).has(id)) return false;
  removeDurably(join(device.pinsDirectory(stack), id));
  return true;
}
