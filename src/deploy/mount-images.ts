/** Mounts images by hand, without a deployment: to look into them, or for a system that keeps its own records. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Digest, isDigest } from '../core/digest.ts';
import { OsupdError } from '../core/errors.ts';
import { Pool } from '../objects/pool.ts';
import { acquireLock } from '../sys/lock.ts';
import type { VerityMode } from './configuration-file.ts';
import { attachedStack, switchLive } from './live.ts';
import { mountStack } from './stack-mount.ts';

export interface MountImagesRequest {
  /** Paths of image files, or digests of images in the pool; the topmost first. */
  readonly images: readonly string[];
  /** An existing directory. */
  readonly directory: string;
  /** A pool, or the root of a device. */
  readonly pool: string;
  readonly verity: VerityMode;
  /** Put the images in the place of a stack that is mounted there, live. */
  readonly replace: boolean;
}

export interface MountedImages {
  /** Paths of the image files. */
  readonly images: readonly string[];
  /** True when the kernel checks every object. */
  readonly verity: boolean;
  readonly replaced: boolean;
}

/**
 * Shows images as one tree at a directory. An image that is in the pool keeps its objects there as long as it is mounted.
 * @throws OsupdError as mountStack and switchLive do; `busy` when a stack is mounted there and is not to be replaced, or a gc runs.
 */
export async function mountImages(request: MountImagesRequest): Promise<MountedImages> {
  const { directory, verity, replace } = request;
  const pool = await Pool.open(request.pool);
  const images = request.images.map((image) =>
    isDigest(image) && !existsSync(image) ? pool.imagePath(image as Digest) : image,
  );
  // A device's gc must not look for mounted images just before this mount, and remove objects just after it.
  const deviceLock = join(pool.directory, 'lock');
  using _ = existsSync(deviceLock) ? acquireLock(deviceLock, 'shared') : undefined;
  if (!replace && attachedStack(directory) !== undefined) {
    throw new OsupdError('busy', 'a stack is mounted here already', {
      where: directory,
      remedy: 'unmount it first, or use --replace to switch to the new one under its readers',
    });
  }
  const mounted = mountStack({ images, pool: pool.objectsDirectory, verity });
  const replaced = switchLive(directory, mounted);
  return { images, verity: mounted.verity, replaced: replaced !== undefined };
}
