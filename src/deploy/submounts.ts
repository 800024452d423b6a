/** Mounts inside a stack, such as a data partition: a switch takes them along. */
import { closeSync } from 'node:fs';
import { toText } from '../core/bytes.ts';
import { OsupdError } from '../core/errors.ts';
import { errnoOf } from '../sys/libc.ts';
import { attachMount, cloneMount } from '../sys/mount.ts';
import { type MountEntry, readMounts } from '../sys/mountinfo.ts';
import { TemporaryMountpoints } from './temporary-mountpoints.ts';

export interface CompleteMount extends Disposable {
  /** Descriptor of a detached mount. */
  readonly mount: number;
}

/**
 * The new stack with all mounts that are inside the old one, each at the same path, as one detached tree: attached in one step,
 * so that nobody finds a mountpoint empty. The old stack keeps its own for those who still use it.
 * @param old the stack's mount as it is now. @param mount descriptor of the new one, detached; used up when there are any.
 * @throws OsupdError `busy` when a mountpoint does not exist in the new stack.
 */
export function withSubmountsOf(old: MountEntry, mount: number): CompleteMount {
  const inside = readMounts().filter(({ parent }) => parent === old.id);
  if (inside.length === 0) return { mount, [Symbol.dispose]() {} };
  using places = new TemporaryMountpoints();
  const root = places.attach(mount);
  for (const { mountpoint } of inside) attachCopy(toText(mountpoint), toText(old.mountpoint), root);
  const complete = cloneMount(root, { recursive: true });
  return { mount: complete, [Symbol.dispose]: () => closeSync(complete) };
}

function attachCopy(mountpoint: string, oldRoot: string, newRoot: string): void {
  const copy = cloneMount(mountpoint, { recursive: true });
  try {
    attachMount(copy, newRoot + mountpoint.slice(oldRoot.length));
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT' && errnoOf(error) !== 'ENOTDIR') throw error;
    throw new OsupdError('busy', 'something is mounted here, and the new deployment has no such place', {
      where: mountpoint,
      remedy: `unmount it first: umount ${mountpoint}`,
      cause: error,
    });
  } finally {
    closeSync(copy);
  }
}
