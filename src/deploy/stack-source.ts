/**
 * How a mounted stack says what it is: the source name of its overlay, which /proc/PID/mountinfo shows in every mount
 * namespace. `osupd` for a mount made by hand, `osupd:STACK:DEPLOYMENT` for a deployment.
 */
import type { MountEntry } from '../sys/mountinfo.ts';

/** Which deployment of which stack a mount shows. */
export interface StackIdentity {
  readonly stack: string;
  /** The deployment's ID. */
  readonly deployment: string;
}

const NAME = 'osupd';

/** The source name for a deployment, or for a mount that belongs to none. At most 255 bytes: names of stacks are short. */
export function stackSource(identity?: StackIdentity): string {
  return identity === undefined ? NAME : `${NAME}:${identity.stack}:${identity.deployment}`;
}

/** A mount that {@link isStackMount} has looked at. */
type StackMount = MountEntry & { readonly type: 'overlay' };

/** True for an overlay that osupd mounted. */
export function isStackMount(mount: MountEntry | undefined): mount is StackMount {
  return mount?.type === 'overlay' && (mount.source === NAME || mount.source.startsWith(`${NAME}:`));
}

/** What a stack's mount says it is; undefined for one that belongs to no deployment. */
export function identityOf(mount: MountEntry): StackIdentity | undefined {
  const [name, stack, deployment, ...rest] = mount.source.split(':');
  if (name !== NAME || stack === undefined || deployment === undefined || rest.length > 0) return undefined;
  return { stack, deployment };
}
