/** Deployments with an /etc for tests: defaults in plain directories, overlays mounted with the kernel. Needs root. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { DeviceRoot } from '../../src/deploy/device.ts';
import type { EtcSide } from '../../src/deploy/etc/prepare-etc.ts';
import { readDirectory } from '../../src/tree/read-directory.ts';
import { EPOCH, type Tree } from '../../src/tree/tree.ts';

/** The running deployment, and the one that is to be booted. */
export const [OLD, NEW] = ['1-000000000000', '2-000000000000'];

export class EtcDevice {
  readonly device: DeviceRoot;
  /** Where the default /etc of the one and the other is. */
  readonly old: string;
  readonly new: string;
  readonly #mounted: string[] = [];

  private constructor(device: DeviceRoot) {
    this.device = device;
    [this.old, this.new] = [join(device.directory, 'old'), join(device.directory, 'new')];
  }

  static async create(parent: string): Promise<EtcDevice> {
    const directory = mkdtempSync(join(parent, 'etc-'));
    // What promises of node:fs would make, on another thread, in another mount namespace.
    for (const name of ['objects', 'images', 'staging', 'deployments', 'current', 'next', 'rollback', 'pins', 'trust'])
      mkdirSync(join(directory, name));
    return new EtcDevice(await DeviceRoot.open(directory));
  }

  directoryOf(id: string): string {
    return join(this.device.directory, 'etc/os', id);
  }

  upperOf(id: string): string {
    return join(this.directoryOf(id), 'upper');
  }

  /** Mounts the /etc of a deployment over its default, as the initramfs does. @returns where. */
  mount(id: string): string {
    const directory = this.directoryOf(id);
    for (const name of ['upper', 'work']) mkdirSync(join(directory, name), { recursive: true });
    const mountpoint = mkdtempSync(join(this.device.directory, 'mnt-'));
    const layers = `lowerdir=${id === OLD ? this.old : this.new},upperdir=${directory}/upper,workdir=${directory}/work`;
    execFileSync('mount', [
      '-t',
      'overlay',
      '-o',
      `metacopy=off,redirect_dir=off,index=off,${layers}`,
      'etc',
      mountpoint,
    ]);
    this.#mounted.push(mountpoint);
    return mountpoint;
  }

  unmountAll(): void {
    for (const mountpoint of this.#mounted.splice(0)) execFileSync('umount', [mountpoint]);
  }

  /** A deployment whose image has this default. */
  async side(id: string): Promise<EtcSide> {
    const { root } = await readContents(id === OLD ? this.old : this.new);
    const common = { mode: 0o755, uid: 0, gid: 0, nlink: 3, mtime: EPOCH, xattrs: new Map() };
    return { id, tree: { root: { type: 'directory', ...common, children: new Map([['etc', root]]) } } };
  }
}

/** A directory with the contents of its files. */
export function readContents(directory: string): Promise<Tree> {
  return readDirectory(directory, { inlineLimit: 1 << 20 });
}

export function noObjects(): never {
  throw new Error('no object is needed');
}
