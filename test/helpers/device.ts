/** Devices for tests: roots with deployments, without any repository. */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { asDigest } from '../../src/core/digest.ts';
import { deployImages } from '../../src/deploy/deployment.ts';
import type { DeployedImage, Deployment } from '../../src/deploy/deployment-files.ts';
import { DeviceRoot } from '../../src/deploy/device.ts';
import { fsverityDigest } from '../../src/objects/fsverity.ts';
import { type NodeOptions, TestPool } from './stack.ts';

export const ORIGIN = { url: 'https://updates.example/os', channel: 'stable' };

/** A new root below `directory`. */
export function newDevice(directory: string): Promise<DeviceRoot> {
  return DeviceRoot.create(join(mkdtempSync(join(directory, 'device-')), 'root'));
}

/** Puts something that is named like an image into the pool: enough for what does not look into images. */
export async function fakeImage(device: DeviceRoot, name: string, version: string): Promise<DeployedImage> {
  const bytes = Buffer.from(`image of ${name} ${version}`);
  const digest = fsverityDigest(bytes);
  await device.pool.addImage(bytes, digest);
  return { name, version, digest };
}

/** The time of a test's clock, `minute` minutes after its beginning. */
export function at(minute: number): string {
  return `2030-01-01T00:${String(minute).padStart(2, '0')}:00Z`;
}

/** A device with real images, configured in its root. */
export class TestDevice {
  readonly root: DeviceRoot;
  readonly #pool: TestPool;
  #minute = 0;

  private constructor(root: DeviceRoot, pool: TestPool) {
    this.root = root;
    this.#pool = pool;
  }

  static async create(parent: string, configuration = ''): Promise<TestDevice> {
    const pool = new TestPool(parent);
    const device = new TestDevice(await DeviceRoot.create(pool.directory), pool);
    device.configure(configuration);
    return device;
  }

  get directory(): string {
    return this.root.directory;
  }

  /** Where the stack `system` shows unless it is configured otherwise. */
  get mountpoint(): string {
    return join(this.directory, 'mnt/system');
  }

  /** Writes the configuration: `text` before the stack `system`, or instead of it when it has stacks of its own. */
  configure(text: string): void {
    const stack = text.includes('[stack.') ? '' : `[stack.system]\nmountpoint = "${this.mountpoint}"\n`;
    writeFileSync(join(this.directory, 'osupd.toml'), `url = "${ORIGIN.url}"\n${text}\n${stack}`);
  }

  /** Adds an image to the pool. */
  image(name: string, version: string, nodes: Readonly<Record<string, string | NodeOptions>>): DeployedImage {
    return { name, version, digest: asDigest(basename(this.#pool.addImage(nodes))) };
  }

  /** Makes images the next deployment of a stack, as a pull does. */
  deploy(images: readonly DeployedImage[], stack = 'system'): Promise<Deployment> {
    return deployImages(this.root, stack, images, ORIGIN, at(this.#minute++));
  }
}
