/** The one overlay that shows the images of a stack, with the objects of the pool as data-only layer (docs/mounts.md). */
import { closeSync, constants, openSync } from 'node:fs';
import { toOsupdError } from '../core/errors.ts';
import { errnoOf } from '../sys/libc.ts';
import { cloneMount, createMount, type MountOption, mountAt } from '../sys/mount.ts';
import { kernelIsAtLeast, kernelLacks, type WithoutFeatures } from './mount-features.ts';
import { TemporaryMountpoints } from './temporary-mountpoints.ts';

export interface OverlayRequest {
  /** Descriptors of the images' mounts, the topmost first. */
  readonly layers: readonly number[];
  /** Absolute path of the pool's objects. */
  readonly pool: string;
  /** The mount's source name, at most 255 bytes without commas. */
  readonly source: string;
  /** Let the kernel refuse every object whose fs-verity digest is not the one in the image. */
  readonly requireVerity: boolean;
  readonly without: WithoutFeatures;
}

/**
 * Mounts the overlay, attached nowhere, in the best way that the kernel knows.
 * @returns a descriptor of the mount.
 * @throws OsupdError `unsupported` with the feature and the kernel that has it; `not-found` when there is no pool.
 */
export function mountOverlay(request: OverlayRequest): number {
  try {
    return attempt(request);
  } catch (error) {
    if (errnoOf(error) !== 'EINVAL') throw error;
    if (!kernelIsAtLeast('6.5')) throw kernelLacks('an overlay with data-only layers', '6.5', { cause: error });
    if (request.requireVerity && !kernelIsAtLeast('6.6'))
      throw kernelLacks('an overlay that requires fs-verity', '6.6', { remedy: 'set verity = "off"', cause: error });
    throw error;
  }
}

function attempt(request: OverlayRequest): number {
  const { without } = request;
  if (!without.has('layer-descriptors') && !without.has('append-layers')) {
    try {
      return mountOfDescriptors(request);
    } catch (error) {
      // What kernels before 6.15 say to a detached mount as a layer, in one place or another.
      if (!isRefusal(error)) throw error;
    }
  }
  using places = new TemporaryMountpoints();
  const layers = request.layers.map((layer) => places.attach(layer));
  const objects = cloneMount(request.pool);
  try {
    const pool = places.attach(objects);
    if (!without.has('append-layers')) {
      try {
        return createMount('overlay', [...commonOptions(request), ...layerOptions(layers, pool)]);
      } catch (error) {
        // Kernels before 6.7 do not know lowerdir+.
        if (!isRefusal(error)) throw error;
      }
    }
    return mountOfOptionString(request, layers, pool, places.make());
  } finally {
    closeSync(objects);
  }
}

function mountOfDescriptors(request: OverlayRequest): number {
  const pool = openPool(request.pool);
  try {
    return createMount('overlay', [...commonOptions(request), ...layerOptions(request.layers, pool)]);
  } finally {
    closeSync(pool);
  }
}

/** mount(2) takes one string of at most a page; the short paths leave room for some 100 layers. */
function mountOfOptionString(request: OverlayRequest, layers: readonly string[], pool: string, place: string): number {
  const words = commonOptions(request).filter(([key]) => key !== 'source');
  const options = [...words.map((word) => word.join('=')), `lowerdir=${layers.join(':')}::${pool}`];
  mountAt(request.source, place, 'overlay', options.join(','));
  return cloneMount(place);
}

/**
 * metacopy and redirect_dir let an image's file name an object of the pool; without metacopy Linux 6.12 refuses data-only
 * layers. xino gives all files the device number of the overlay: otherwise `du -x` and `tar --one-file-system` leave out
 * every file, for each layer has a device number of its own.
 */
function commonOptions({ source, requireVerity }: OverlayRequest): MountOption[] {
  return [
    ['source', source],
    ['metacopy', 'on'],
    ['redirect_dir', 'on'],
    ['xino', 'on'],
    ...(requireVerity ? [['verity', 'require'] as const] : []),
  ];
}

function layerOptions(layers: readonly (string | number)[], pool: string | number): MountOption[] {
  return [...layers.map((layer) => ['lowerdir+', layer] as const), ['datadir+', pool]];
}

function isRefusal(error: unknown): boolean {
  return errnoOf(error) === 'EBADF' || errnoOf(error) === 'EINVAL';
}

function openPool(path: string): number {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  } catch (error) {
    throw toOsupdError(error, path);
  }
}
