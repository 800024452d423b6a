/**
 * The names of a stack's deployments: symlinks `current/STACK`, `next/STACK` and `rollback/STACK`, each swapped by rename(2).
 *
 * A transition changes three of them, and a power cut may come between any two steps. So it prepares a fourth one first:
 *
 *     1. rollback/STACK.prepared -> the current deployment
 *     2. current/STACK -> the new deployment       this is the moment of the change
 *     3. rename rollback/STACK.prepared to rollback/STACK
 *     4. remove next/STACK where it names the new deployment
 *
 * Cut before step 2, the prepared link and `current` name the same deployment: nothing has changed. Cut after it, they
 * differ: steps 3 and 4 are still to be done. {@link readLinks} sees through both, {@link recoverLinks} also writes it down.
 */
import { existsSync, readlinkSync, renameSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { isSystemError, toOsupdError } from '../core/errors.ts';
import { removeDurably, replaceSymlinkDurably, syncDirectory } from '../sys/durable.ts';
import { isDeploymentId } from './deployment-files.ts';
import type { DeviceRoot, LinkKind } from './device.ts';

/** IDs of the deployments that a stack's links name. */
export interface StackLinks {
  readonly current?: string;
  readonly next?: string;
  readonly rollback?: string;
}

/** The links as they are; one that names a deployment which is not there counts as absent. */
interface RawLinks extends StackLinks {
  readonly prepared?: string;
}

/** What the links of a stack mean now, whatever a cut transition has left. Changes nothing and needs no lock. */
export function readLinks(device: DeviceRoot, stack: string): StackLinks {
  // Beside a running transition the links may be read half before a step and half after it: read until they stay.
  for (let raw = readRawLinks(device, stack); ; ) {
    const again = readRawLinks(device, stack);
    if (JSON.stringify(again) === JSON.stringify(raw)) return settle(raw);
    raw = again;
  }
}

/** Finishes or drops what a cut transition has left; for the holder of the device's lock. */
export function recoverLinks(device: DeviceRoot, stack: string): StackLinks {
  const raw = readRawLinks(device, stack);
  const links = settle(raw);
  if (isCommitted(raw)) finishRollbackLink(device, stack);
  removeDurably(preparedPath(device, stack));
  for (const kind of ['current', 'next', 'rollback'] as const) {
    if (links[kind] === undefined) removeLink(device, kind, stack);
  }
  return links;
}

/** Makes a link name a deployment of the stack, durably and in one step. */
export function setLink(device: DeviceRoot, kind: LinkKind, stack: string, id: string): void {
  replaceSymlinkDurably(device.linkPath(kind, stack), linkTarget(stack, id));
}

export function removeLink(device: DeviceRoot, kind: LinkKind, stack: string): void {
  removeDurably(device.linkPath(kind, stack));
}

/**
 * Makes a deployment the current one, and the one that was current the rollback.
 *
 * @param show makes it visible, once the links are certain. When that fails, the links go back to what they were.
 * @throws what `show` throws.
 */
export async function makeCurrent(
  device: DeviceRoot,
  stack: string,
  id: string,
  show: () => void | Promise<void>,
): Promise<void> {
  const { current, next } = recoverLinks(device, stack);
  if (current === id) return show();
  if (current !== undefined) replaceSymlinkDurably(preparedPath(device, stack), linkTarget(stack, current));
  setLink(device, 'current', stack, id);
  try {
    await show();
  } catch (error) {
    if (current === undefined) removeLink(device, 'current', stack);
    else setLink(device, 'current', stack, current);
    removeDurably(preparedPath(device, stack));
    throw error;
  }
  if (current !== undefined) finishRollbackLink(device, stack);
  if (next === id) removeLink(device, 'next', stack);
}

function settle(raw: RawLinks): StackLinks {
  const { current, next } = raw;
  const rollback = isCommitted(raw) ? raw.prepared : raw.rollback;
  return {
    ...(current === undefined ? {} : { current }),
    ...(next === undefined || next === current ? {} : { next }),
    ...(rollback === undefined || rollback === current ? {} : { rollback }),
  };
}

/** True between steps 2 and 3. */
function isCommitted({ prepared, current }: RawLinks): boolean {
  return prepared !== undefined && prepared !== current;
}

function readRawLinks(device: DeviceRoot, stack: string): RawLinks {
  const id = (path: string): string | undefined => {
    const name = basename(readLink(path) ?? '');
    return isDeploymentId(name) && existsSync(device.deploymentDirectory(stack, name)) ? name : undefined;
  };
  const found = {
    prepared: id(preparedPath(device, stack)),
    current: id(device.linkPath('current', stack)),
    next: id(device.linkPath('next', stack)),
    rollback: id(device.linkPath('rollback', stack)),
  };
  return Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined));
}

/** Step 3: both names are in one directory, so one rename drops the old rollback and the prepared name together. */
function finishRollbackLink(device: DeviceRoot, stack: string): void {
  const path = device.linkPath('rollback', stack);
  try {
    renameSync(preparedPath(device, stack), path);
  } catch (error) {
    throw toOsupdError(error, path);
  }
  syncDirectory(dirname(path));
}

function preparedPath(device: DeviceRoot, stack: string): string {
  return `${device.linkPath('rollback', stack)}.prepared`;
}

function linkTarget(stack: string, id: string): string {
  return `../deployments/${stack}/${id}`;
}

function readLink(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return undefined;
    throw toOsupdError(error, path);
  }
}
