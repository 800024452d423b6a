/** Which deployment the machine runs: the initramfs mounts what the kernel's command line names. */
import { isDigest } from '../../core/digest.ts';
import { isDeploymentId } from '../deployment-files.ts';
import { isStackName } from '../stack-name.ts';

/** What the word `osupd.stack=STACK/ID:SHA256` says. */
export interface BootedDeployment {
  readonly stack: string;
  readonly id: string;
  /** Hexadecimal SHA-256 of the deployment's file `stack`. */
  readonly stackDigest: string;
}

const KEY = 'osupd.stack=';

/**
 * The deployment that a command line names; undefined for a system that osupd has not booted, and for a word that is not
 * of this form. The last such word counts, as for the initramfs.
 * @param commandLine text of `/proc/cmdline`.
 */
export function bootedDeployment(commandLine: string): BootedDeployment | undefined {
  const word = commandLine.split(/\s+/).findLast((each) => each.startsWith(KEY));
  const [, stack = '', id = '', stackDigest = ''] = /^([^/]+)\/([^:]+):(.+)$/.exec(word?.slice(KEY.length) ?? '') ?? [];
  if (!isStackName(stack) || !isDeploymentId(id) || !isDigest(stackDigest)) return undefined;
  return { stack, id, stackDigest };
}

/** The word that names a deployment. */
export function bootedWord({ stack, id, stackDigest }: BootedDeployment): string {
  return `${KEY}${stack}/${id}:${stackDigest}`;
}
