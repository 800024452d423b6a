/** Devices for tests: a root with images that need no mounting. */
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import type { DeployedImage } from '../../src/deploy/deployment-files.ts';
import { DeviceRoot } from '../../src/deploy/device.ts';
import { fsverityDigest } from '../../src/objects/fsverity.ts';

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
