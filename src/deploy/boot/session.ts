/** What the commands that change a boot need to know: the boot partition, what is booted, what time it is. */
import type { Configuration } from '../configuration.ts';
import { listDeploymentIds } from '../deployment.ts';
import type { DeviceRoot } from '../device.ts';
import { readLinks } from '../links.ts';
import { readPins } from '../pins.ts';
import { type BootPartition, openBootPartition } from './boot-partition.ts';
import { type BootedDeployment, bootedDeployment } from './booted.ts';
import type { BootEntry } from './entry.ts';
import { findBootDirectory } from './find-boot-directory.ts';
import { grubAttemptsLeft } from './grub.ts';
import type { KeptEntries } from './prune.ts';

export interface BootSession {
  readonly device: DeviceRoot;
  readonly configuration: Configuration;
  readonly boot: BootPartition;
  /** What the machine runs; undefined for a system that osupd has not booted. */
  readonly booted: BootedDeployment | undefined;
  /** As `2030-01-31T23:59:59Z`. */
  readonly now: string;
  /** Where the state file system of the machine that is to boot is mounted, when it is not this one's. */
  readonly stateDirectory?: string;
}

/**
 * @param commandLine text of `/proc/cmdline`.
 * @throws OsupdError `not-found` when no boot partition is mounted.
 */
export function openBootSession(
  device: DeviceRoot,
  configuration: Configuration,
  commandLine: string,
  now: string,
): BootSession {
  const boot = openBootPartition(findBootDirectory(configuration));
  return { device, configuration, boot, booted: bootedDeployment(commandLine), now };
}

export function usesGrub({ configuration }: BootSession): boolean {
  return configuration.boot.loader === 'grub';
}

/** Attempts that are left for an entry; undefined for one that is not counted. GRUB counts in a file of its own. */
export function attemptsLeft(session: BootSession, { left, generation }: BootEntry): number | undefined {
  if (left === undefined || !usesGrub(session)) return left;
  return Math.min(left, grubAttemptsLeft(session.boot, generation) ?? left);
}

/** ID of the deployment of a stack that is booted. */
export function bootedId({ booted }: BootSession, stack: string): string | undefined {
  return booted?.stack === stack ? booted.id : undefined;
}

/** Which deployments of a stack have a place in the boot menu. @param tried the one that is about to be booted; else the next one. */
export function keptEntries(session: BootSession, stack: string, tried?: string): KeptEntries {
  const { device } = session;
  const { current, next, rollback } = readLinks(device, stack);
  const needed = [bootedId(session, stack), current, rollback, tried ?? next].filter((id) => id !== undefined);
  return {
    stack,
    existing: new Set(listDeploymentIds(device, stack)),
    needed: new Set(needed),
    wanted: readPins(device, stack),
  };
}
