/** The directory where a device keeps everything (docs/deployments.md): an object pool, and the deployments over it. */
import { chmodSync, existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { OsupdError, toOsupdError } from '../core/errors.ts';
import { Pool } from '../objects/pool.ts';
import { syncDirectory } from '../sys/durable.ts';
import { acquireLock, type Lock } from '../sys/lock.ts';
import { checkDeploymentId } from './deployment-files.ts';
import { checkStackName, isStackName } from './stack-name.ts';

/** Where an image-based system keeps state that its deployments share. */
const SYSROOT_DIRECTORY = '/sysroot/osupd';
const STATE_DIRECTORY = '/var/lib/osupd';

/** A name for one of a stack's deployments: the one in use, the one to switch to, the one to go back to. */
export type LinkKind = 'current' | 'next' | 'rollback';

const DIRECTORIES = ['deployments', 'current', 'next', 'rollback', 'pins', 'trust'];

/** The directory that is used when none is given. */
export function defaultDeviceDirectory(): string {
  return existsSync(SYSROOT_DIRECTORY) ? SYSROOT_DIRECTORY : STATE_DIRECTORY;
}

export class DeviceRoot {
  readonly directory: string;
  /** The pool of the root: `objects/`, `images/` and `staging/` in it. */
  readonly pool: Pool;

  private constructor(pool: Pool) {
    this.directory = pool.directory;
    this.pool = pool;
  }

  /** Makes what is not there yet, durably; a root that is complete stays as it is. */
  static async create(directory: string): Promise<DeviceRoot> {
    const pool = await Pool.create(directory);
    try {
      // Contents of files that only root may read in the tree must not be readable in the pool.
      for (const path of [pool.objectsDirectory, pool.imagesDirectory, pool.stagingDirectory]) chmodSync(path, 0o700);
      for (const name of DIRECTORIES) mkdirSync(join(directory, name), { recursive: true });
      syncDirectory(directory);
    } catch (error) {
      throw toOsupdError(error, directory);
    }
    return new DeviceRoot(pool);
  }

  /** @throws OsupdError `not-found` when `osupd init` has not made this directory. */
  static async open(directory: string): Promise<DeviceRoot> {
    if (DIRECTORIES.some((name) => !existsSync(join(directory, name)))) {
      throw new OsupdError('not-found', 'this directory is not set up as a device root', {
        where: directory,
        remedy: 'run osupd init, or name another directory with --root',
      });
    }
    return new DeviceRoot(await Pool.open(directory));
  }

  /** Keeps every other osupd from changing this root. @throws OsupdError `busy` */
  lock(): Lock {
    return acquireLock(join(this.directory, 'lock'), 'exclusive');
  }

  /** Where pull keeps the trusted root and the metadata it has verified. */
  get trustDirectory(): string {
    return join(this.directory, 'trust');
  }

  /** This and the other paths: @throws OsupdError `usage` for what cannot be the name of a stack, or the ID of a deployment. */
  deploymentsDirectory(stack: string): string {
    return this.#pathOf('deployments', stack);
  }

  deploymentDirectory(stack: string, id: string): string {
    return join(this.deploymentsDirectory(stack), checkDeploymentId(id));
  }

  linkPath(kind: LinkKind, stack: string): string {
    return this.#pathOf(kind, stack);
  }

  /** The directory of a stack's pins: one symlink, named by its ID, for each pinned deployment. */
  pinsDirectory(stack: string): string {
    return this.#pathOf('pins', stack);
  }

  /** What failed of a stack; made by the first failure. */
  failedDirectory(stack: string): string {
    return this.#pathOf('failed', stack);
  }

  /** Names come from the command line: none may lead out of its directory. */
  #pathOf(folder: string, stack: string): string {
    return join(this.directory, folder, checkStackName(stack));
  }

  /** Stacks that have or had deployments, sorted. */
  stacks(): string[] {
    return readdirSync(join(this.directory, 'deployments')).filter(isStackName).sort();
  }
}
