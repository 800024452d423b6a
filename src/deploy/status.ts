/** What a device has: stacks, their deployments, what really shows, and the size of the pool. Reads only; needs no lock. */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { isSystemError, OsupdError } from '../core/errors.ts';
import type { Pool } from '../objects/pool.ts';
import { type StackBoot, stackBoot } from './boot/boot-status.ts';
import type { BootSession } from './boot/session.ts';
import type { Configuration, StackConfiguration } from './configuration.ts';
import type { SwitchMode } from './configuration-file.ts';
import { listDeploymentIds, readDeployment } from './deployment.ts';
import type { DeployedImage, Deployment, Origin } from './deployment-files.ts';
import type { DeviceRoot, LinkKind } from './device.ts';
import { type FailedDeployment, readFailed } from './failed.ts';
import { DamageFinder, type IntegrityStatus, integrityStatus } from './integrity/damage.ts';
import { readRecord } from './integrity/record.ts';
import { readLinks } from './links.ts';
import { readPins } from './pins.ts';
import { publicAddress } from './public-address.ts';
import { shownDeployment } from './switch.ts';

/** `osupd status --json`; docs/deployments.md has the fields. New fields may come, none changes its meaning. */
export interface DeviceStatus {
  readonly schema: 'osupd-status/1';
  readonly root: string;
  /** Without passwords and tokens. */
  readonly url: readonly string[];
  readonly channel: string;
  /** Configured stacks in their order, then those that only have deployments. */
  readonly stacks: readonly StackStatus[];
  readonly pool: PoolStatus;
  readonly integrity: IntegrityStatus;
}

export interface StackStatus {
  readonly name: string;
  /** Null for a stack that has deployments but is not configured. */
  readonly mountpoint: string | null;
  readonly switch: SwitchMode | null;
  /** ID of the deployment that shows at the mountpoint; null where none does. */
  readonly inUse: string | null;
  /** Why it cannot be said what is in use, or what is not as it should be. */
  readonly problem: string | null;
  /** What the boot menu says; null for a stack that is not booted, and where the boot partition cannot be read. */
  readonly boot: StackBoot | null;
  /** What failed here and is not pulled again, the newest first. */
  readonly failed: readonly FailedDeployment[];
  /** The next one, the current, the rollback, then the others from new to old. */
  readonly deployments: readonly DeploymentStatus[];
}

export interface DeploymentStatus {
  readonly id: string;
  /** Empty for one that is only kept. */
  readonly roles: readonly LinkKind[];
  readonly inUse: boolean;
  readonly pinned: boolean;
  /** Empty, and the next two null, for a deployment whose files are damaged. */
  readonly images: readonly DeployedImage[];
  readonly createdAt: string | null;
  readonly origin: Origin | null;
  readonly arguments: readonly string[];
  /** What is missing or known to be damaged; null where nothing is. */
  readonly damage: string | null;
}

/** Null where this process may not read the pool. */
interface PoolStatus {
  readonly images: FileTotals | null;
  readonly objects: FileTotals | null;
}

export interface FileTotals {
  readonly count: number;
  readonly bytes: number;
}

/**
 * A deployment that is damaged is marked, and ends nothing.
 * @param session for stacks that are booted.
 * @throws OsupdError `io`
 */
export function readStatus(device: DeviceRoot, configuration: Configuration, session?: BootSession): DeviceStatus {
  const names = new Set([...Object.keys(configuration.stacks), ...device.stacks()]);
  const record = readRecord(device.directory);
  const damages = new DamageFinder(device.pool, record);
  return {
    schema: 'osupd-status/1',
    root: device.directory,
    url: configuration.url.map(publicAddress),
    channel: configuration.channel,
    stacks: [...names]
      .map((name) => readStack(device, name, configuration.stacks[name], { damages, session }))
      .filter(({ mountpoint, deployments }) => mountpoint !== null || deployments.length > 0),
    pool: readPool(device.pool),
    integrity: integrityStatus(device.pool, record),
  };
}

const ROLES: readonly LinkKind[] = ['next', 'current', 'rollback'];

function readStack(
  device: DeviceRoot,
  name: string,
  configuration: StackConfiguration | undefined,
  { damages, session }: { readonly damages: DamageFinder; readonly session: BootSession | undefined },
): StackStatus {
  const links = readLinks(device, name);
  const pinned = readPins(device, name);
  const boot = session === undefined || configuration?.switch !== 'boot' ? null : stackBoot(session, name);
  const { inUse: shown, problem } = inUseOf(name, configuration);
  const inUse = shown ?? boot?.booted ?? null;
  const deployments = listDeploymentIds(device, name).flatMap((id): DeploymentStatus[] => {
    const deployment = readOrDamage(device, name, id);
    if (deployment === undefined) return [];
    const { images = [], createdAt = null, origin = null, arguments: words = [], damage } = deployment;
    return [
      {
        id,
        roles: ROLES.filter((role) => links[role] === id),
        inUse: id === inUse,
        pinned: pinned.has(id),
        images,
        createdAt,
        origin,
        arguments: words,
        damage: damage ?? damages.of(images) ?? null,
      },
    ];
  });
  const rank = ({ roles: [first] }: DeploymentStatus) => (first === undefined ? ROLES.length : ROLES.indexOf(first));
  return {
    name,
    mountpoint: configuration?.mountpoint ?? null,
    switch: configuration?.switch ?? null,
    inUse,
    problem,
    boot,
    failed: readFailed(device, name),
    deployments: deployments.reverse().sort((a, b) => rank(a) - rank(b)),
  };
}

function inUseOf(
  name: string,
  configuration: StackConfiguration | undefined,
): { inUse: string | null; problem: string | null } {
  if (configuration === undefined) return { inUse: null, problem: 'this stack is not configured' };
  try {
    return { inUse: shownDeployment(name, configuration) ?? null, problem: null };
  } catch (error) {
    // Another mount on top, or a directory this user may not enter: the rest of the status is still worth reading.
    if (!(error instanceof OsupdError)) throw error;
    return { inUse: null, problem: `${error.where ?? configuration.mountpoint}: ${error.message}` };
  }
}

/** A deployment, or why it cannot be read; undefined for one that another osupd has removed since it was listed. */
function readOrDamage(
  device: DeviceRoot,
  stack: string,
  id: string,
): (Partial<Deployment> & { readonly damage?: string }) | undefined {
  try {
    return readDeployment(device, stack, id);
  } catch (error) {
    if (!(error instanceof OsupdError)) throw error;
    if (error.code === 'not-found') return undefined;
    if (error.code === 'damaged-store') return { damage: error.message };
    throw error;
  }
}

function readPool(pool: Pool): PoolStatus {
  return {
    images: totals(pool.imagesDirectory, 0),
    objects: totals(pool.objectsDirectory, 1),
  };
}

/** Files in a directory, `depth` levels below it. */
function totals(directory: string, depth: number): FileTotals | null {
  try {
    const sum = { count: 0, bytes: 0 };
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      const path = join(directory, entry.name);
      if (depth > 0) {
        const found = entry.isDirectory() ? totals(path, depth - 1) : null;
        sum.count += found?.count ?? 0;
        sum.bytes += found?.bytes ?? 0;
      } else {
        // What a gc removes meanwhile does not count.
        const stat = statSync(path, { throwIfNoEntry: false });
        if (stat === undefined) continue;
        sum.count++;
        sum.bytes += stat.size;
      }
    }
    return sum;
  } catch (error) {
    if (isSystemError(error, 'EACCES')) return null;
    throw error;
  }
}
