/** A device with a boot partition. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { noProgress } from '../../src/core/progress.ts';
import { sha256Of } from '../../src/core/sha256.ts';
import { type BootSession, openBootSession } from '../../src/deploy/boot/session.ts';
import { type BootChange, switchAtBoot } from '../../src/deploy/boot/switch-boot.ts';
import { readConfiguration } from '../../src/deploy/configuration.ts';
import { type Deployment, formatStack } from '../../src/deploy/deployment-files.ts';
import { TestDevice } from './device.ts';
import { longText } from './stack.ts';

export const STACK = 'system';

export class BootDevice {
  readonly device: TestDevice;
  readonly partition: string;
  #running = 'quiet';

  private constructor(device: TestDevice, partition: string) {
    this.device = device;
    this.partition = partition;
  }

  /** @param partition where the boot partition is mounted; a directory of the device's own without it. */
  static async create(parent: string, options: { partition?: string; boot?: string } = {}): Promise<BootDevice> {
    const device = await TestDevice.create(parent);
    const partition = options.partition ?? mkdtempSync(join(parent, 'esp-'));
    mkdirSync(join(partition, 'loader'), { recursive: true });
    const bootDevice = new BootDevice(device, partition);
    bootDevice.configure(options.boot ?? '');
    return bootDevice;
  }

  /** The same device with another boot partition. */
  at(partition: string, boot: string): BootDevice {
    const other = new BootDevice(this.device, partition);
    other.#running = this.#running;
    other.configure(boot);
    return other;
  }

  /** Writes the configuration, with more lines in `[boot]`. */
  configure(boot: string): void {
    const words = boot.includes('arguments') ? '' : 'arguments = ["root=UUID=1234", "rw"]\n';
    this.device.configure(
      `[boot]\ndirectory = "${this.partition}"\n${words}${boot}\n[stack.${STACK}]\nmountpoint = "/"\nimages = ["os"]\n`,
    );
  }

  /** Adds a version, its kernel and its initrd to the pool, and makes it the next deployment. */
  deploy(version: string, kernel = version): Promise<Deployment> {
    const image = this.device.image('os', version, {
      'etc/version': version,
      [`usr/lib/modules/6.${kernel}/vmlinuz`]: longText(`kernel ${kernel}`, 20_000),
      [`usr/lib/modules/6.${kernel}/initrd`]: longText(`initrd ${kernel}`, 30_000),
    });
    return this.device.deploy([image], STACK);
  }

  /** The machine has booted a deployment. */
  run({ id, images }: Deployment): void {
    this.#running = `quiet osupd.stack=${STACK}/${id}:${sha256Of(formatStack(images))} rw`;
  }

  get commandLine(): string {
    return this.#running;
  }

  session(): BootSession {
    const configuration = readConfiguration({ root: this.device.directory });
    return openBootSession(this.device.root, configuration, this.#running, '2030-01-01T00:00:00Z');
  }

  async switch(): Promise<BootChange> {
    const change = await switchAtBoot(this.session(), STACK, { progress: noProgress });
    if (change === undefined) throw new Error('nothing is next');
    return change;
  }

  /** Names of the entries, in the order in which a boot loader takes them: `GENERATION:VERSION` and the counter. */
  menu(): string[] {
    return this.session()
      .boot.entries()
      .map(({ generation, left, done, contents }) => {
        const version = /^os (\S+) /.exec(contents.title)?.[1] ?? '?';
        return `${generation}:${version}${left === undefined ? '' : `+${left}${done === undefined ? '' : `-${done}`}`}`;
      });
  }
}

/** A file system of a size, in memory. Call it after `enterMountNamespace`. */
export function mountPartition(parent: string, megabytes: number): Disposable & { readonly directory: string } {
  const mountpoint = mkdtempSync(join(parent, 'partition-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'osupd-test', mountpoint]);
  return {
    directory: mountpoint,
    [Symbol.dispose]: () => {
      execFileSync('umount', [mountpoint]);
    },
  };
}
