/**
 * Puts a mounted stack in the place of another, under the processes that read it. No reader ever finds the directory
 * empty or sees a mixture: the new stack is mounted beneath the old one, then the old one is taken away, which is one step
 * for everybody who looks up the path. Who has a file or directory of the old stack open keeps it.
 */
import { realpathSync } from 'node:fs';
import { toText } from '../core/bytes.ts';
import { OsupdError, toOsupdError } from '../core/errors.ts';
import { errnoOf } from '../sys/libc.ts';
import { attachMount, detachMount, unmount } from '../sys/mount.ts';
import { type MountEntry, mountsAt } from '../sys/mountinfo.ts';
import { kernelIsAtLeast, kernelLacks } from './mount-features.ts';
import type { MountedStack } from './stack-mount.ts';
import { identityOf, isStackMount, type StackIdentity } from './stack-source.ts';
import { withSubmountsOf } from './submounts.ts';

/** What is at a stack's mountpoint. */
export interface AttachedStack {
  /** Undefined for a mount that was made by hand. */
  readonly identity: StackIdentity | undefined;
}

/**
 * Shows a stack at a mountpoint: the first one over the directory, a later one in the place of the stack that is there.
 * Hold the lock of the device root, so that nobody else switches meanwhile.
 *
 * @param mountpoint an existing directory. @param mounted disposed of in any case: a descriptor would keep its stack in use.
 * @returns the stack that was replaced, if there was one.
 * @throws OsupdError `not-found` without the directory; `unsupported` for `/` and on kernels before 6.5; `busy` when another mount
 *   covers the stack, or a mount below the old stack has no place in the new one. Then nothing has changed.
 */
export function switchLive(mountpoint: string, mounted: MountedStack): AttachedStack | undefined {
  using _ = mounted;
  const place = realMountpoint(mountpoint);
  if (place === '/') {
    throw new OsupdError('unsupported', 'the root directory cannot be switched live', {
      where: place,
      remedy: 'set switch = "boot" for this stack',
    });
  }
  finishInterruptedSwitch(place);
  const old = stackMountAt(place);
  if (old === undefined) {
    attachMount(mounted.mount, place);
    return undefined;
  }
  using complete = withSubmountsOf(old, mounted.mount);
  attachBeneath(complete.mount, place);
  detachMount(place);
  return { identity: identityOf(old) };
}

/**
 * The stack that shows at a directory; undefined when there is none.
 * @throws OsupdError `not-found` without the directory; `busy` when a foreign mount covers the stack.
 */
export function attachedStack(mountpoint: string): AttachedStack | undefined {
  const mount = stackMountAt(realMountpoint(mountpoint));
  return mount && { identity: identityOf(mount) };
}

/**
 * Completes a switch that was interrupted between its two steps: two stacks at one place become the new one.
 * @returns true when there was one to complete.
 */
export function finishInterruptedSwitch(mountpoint: string): boolean {
  const place = realMountpoint(mountpoint);
  let finished = false;
  for (;;) {
    const [top, beneath] = mountsAt(place);
    // Nothing but a switch puts two stacks in one place: everything else that osupd mounts refuses to.
    if (!isStackMount(top) || !isStackMount(beneath)) return finished;
    detachMount(place);
    finished = true;
  }
}

/**
 * Takes a stack away from its mountpoint.
 * @param options `lazy`: also while processes use it; they keep what they have open.
 * @throws OsupdError `not-found` when no stack is there; `busy` while processes use it.
 */
export function unmountStack(mountpoint: string, options: { readonly lazy?: boolean } = {}): void {
  const place = realMountpoint(mountpoint);
  finishInterruptedSwitch(place);
  if (stackMountAt(place) === undefined)
    throw new OsupdError('not-found', 'no stack is mounted here', { where: mountpoint });
  try {
    if (options.lazy) detachMount(place);
    else unmount(place);
  } catch (error) {
    if (errnoOf(error) !== 'EBUSY') throw error;
    throw new OsupdError('busy', 'processes use files of this stack, or other mounts are below it', {
      where: mountpoint,
      remedy: 'stop them, or use --lazy to let them finish',
      cause: error,
    });
  }
}

/** The stack's mount on top of a place. @throws OsupdError `busy` when it is not on top. */
function stackMountAt(place: string): MountEntry | undefined {
  const mounts = mountsAt(place);
  const [top] = mounts;
  if (isStackMount(top)) return top;
  if (top === undefined || !mounts.some(isStackMount)) return undefined;
  throw new OsupdError('busy', `another mount (${top.type}, ${toText(top.source)}) covers the stack`, {
    where: place,
    remedy: `unmount it first: umount ${place}`,
  });
}

function attachBeneath(mount: number, place: string): void {
  try {
    attachMount(mount, place, { beneath: true });
  } catch (error) {
    if (errnoOf(error) !== 'EINVAL') throw error;
    if (kernelIsAtLeast('6.5')) {
      throw new OsupdError('unsupported', 'the kernel does not mount beneath the stack here', {
        where: place,
        remedy: 'use a directory that is not on the first root of the system (the initramfs), or set switch = "boot"',
        facts: { errno: 'EINVAL' },
        cause: error,
      });
    }
    throw kernelLacks('switching a mount in one step (MOVE_MOUNT_BENEATH)', '6.5', {
      where: place,
      remedy: 'set switch = "boot" for this stack',
      cause: error,
    });
  }
}

function realMountpoint(mountpoint: string): string {
  try {
    return realpathSync(mountpoint);
  } catch (error) {
    throw toOsupdError(error, mountpoint);
  }
}
