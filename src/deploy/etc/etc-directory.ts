/**
 * Where the /etc of each deployment is kept:
 *
 *     ROOT/etc/STACK/ID/upper        upper directory of the overlay over the stack's /etc
 *     ROOT/etc/STACK/ID/work         its work directory; empty until the deployment is booted for the first time
 *     ROOT/etc/STACK/ID/defaults/    new defaults of files that were in conflict
 *     ROOT/etc/STACK/ID/report.json  what the merge has done (report.ts)
 *
 * Only root may look into it: /etc has secrets. Names that begin with `.` are unfinished work or waste.
 */
import { chmodSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isSystemError, toOsupdError } from '../../core/errors.ts';
import { removeDurably, syncDirectory } from '../../sys/durable.ts';
import { exchangeNames } from '../../sys/nodes.ts';
import { checkDeploymentId, isDeploymentId } from '../deployment-files.ts';
import type { DeviceRoot } from '../device.ts';
import { checkStackName } from '../stack-name.ts';

export class EtcDirectory {
  readonly #stack: string;
  readonly #id: string;

  /** @throws OsupdError `usage` for what is no name of a stack or ID of a deployment. */
  constructor(device: DeviceRoot, stack: string, id: string) {
    this.#stack = stackDirectory(device, stack);
    this.#id = checkDeploymentId(id);
  }

  get path(): string {
    return join(this.#stack, this.#id);
  }

  get upper(): string {
    return join(this.path, 'upper');
  }

  get defaults(): string {
    return join(this.path, 'defaults');
  }

  get report(): string {
    return join(this.path, 'report.json');
  }

  /** True when the deployment was never booted with this /etc: the kernel makes a directory in `work` then. */
  isUnused(): boolean {
    return existsSync(this.upper) && readdirSync(join(this.path, 'work')).length === 0;
  }

  /** A new, empty directory to prepare this one in; what a cut one has left goes. */
  begin(): string {
    const etc = dirname(this.#stack);
    for (const directory of [etc, this.#stack]) {
      mkdirSync(directory, { recursive: true });
      chmodSync(directory, 0o700);
    }
    syncDirectory(dirname(etc));
    syncDirectory(etc);
    removeWaste(this.#stack);
    const aside = join(this.#stack, `.${this.#id}.new`);
    mkdirSync(aside, 0o700);
    return aside;
  }

  /** Puts what was prepared, and is on disk, in place, in one step. */
  finish(aside: string): void {
    if (existsSync(this.path)) exchangeNames(aside, this.path);
    else renameSync(aside, this.path);
    syncDirectory(this.#stack);
    rmSync(aside, { recursive: true, force: true });
  }
}

/** IDs of the deployments of a stack that have a directory. */
export function listEtcDirectories(device: DeviceRoot, stack: string): string[] {
  return namesIn(stackDirectory(device, stack)).filter(isDeploymentId);
}

/** Removes the /etc of a deployment, and its local changes with it; none is no error. The caller holds the device's lock. */
export function removeEtc(device: DeviceRoot, stack: string, id: string): void {
  const directory = stackDirectory(device, stack);
  removeWaste(directory);
  removeDurably(join(directory, checkDeploymentId(id)));
}

function stackDirectory(device: DeviceRoot, stack: string): string {
  return join(device.directory, 'etc', checkStackName(stack));
}

/** Under the device's lock, nobody else is at work here. */
function removeWaste(directory: string): void {
  for (const name of namesIn(directory))
    if (name.startsWith('.')) rmSync(join(directory, name), { recursive: true, force: true });
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return [];
    throw toOsupdError(error, directory);
  }
}
