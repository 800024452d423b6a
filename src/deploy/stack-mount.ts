/** Mounts the images of a stack as one tree, detached: nobody sees it until it is attached (live.ts). */
import { closeSync, realpathSync } from 'node:fs';
import { toOsupdError } from '../core/errors.ts';
import type { VerityMode } from './configuration-file.ts';
import { type ImageMount, mountImage } from './image-mount.ts';
import type { WithoutFeatures } from './mount-features.ts';
import { haveVerity } from './object-verity.ts';
import { mountOverlay } from './overlay-mount.ts';
import { probeStack } from './stack-probe.ts';
import { type StackIdentity, stackSource } from './stack-source.ts';

export interface StackMountRequest {
  /** Paths of image files, the topmost first. */
  readonly images: readonly string[];
  /** Directory of the pool's objects (`ROOT/objects`). */
  readonly pool: string;
  /** `require`: the kernel checks every object; `auto`: where all of them have fs-verity; `off`: never. */
  readonly verity: VerityMode;
  /** What the mount is, for status and gc; left out for a mount by hand. */
  readonly identity?: StackIdentity;
  /** Kernel features to do without. */
  readonly without?: WithoutFeatures;
}

/** A stack that is mounted, but attached nowhere. Dispose of it in any case: that undoes a mount which is not attached. */
export interface MountedStack extends Disposable {
  /** Descriptor of the mount; its tree is at `/proc/self/fd/N`. */
  readonly mount: number;
  /** True when the kernel checks every object. */
  readonly verity: boolean;
  readonly identity: StackIdentity | undefined;
}

/**
 * Mounts a stack and reads one object through it.
 * @throws OsupdError `not-found` for a missing image or pool; `damaged-image`, `damaged-store`; `unsupported` with the feature that
 *   the kernel or file system lacks, or when this process may not mount.
 */
export function mountStack(request: StackMountRequest): MountedStack {
  const { identity, without = new Set() } = request;
  const images = request.images.map(absolute);
  const pool = absolute(request.pool);
  const verity = request.verity === 'auto' ? haveVerity(images, pool) : request.verity === 'require';
  const layers: ImageMount[] = [];
  let mount: number | undefined;
  try {
    for (const path of images) layers.push(mountImage(path, without));
    mount = mountOverlay({
      layers: layers.map((layer) => layer.mount),
      pool,
      source: stackSource(identity),
      requireVerity: verity,
      without,
    });
    probeStack(mount, layers, pool, verity);
    return mountedStack(mount, verity, identity);
  } catch (error) {
    if (mount !== undefined) closeSync(mount);
    throw error;
  } finally {
    // The overlay holds its layers itself.
    for (const layer of layers) closeSync(layer.mount);
  }
}

function mountedStack(mount: number, verity: boolean, identity: StackIdentity | undefined): MountedStack {
  let open = true;
  return {
    mount,
    verity,
    identity,
    [Symbol.dispose]() {
      if (open) closeSync(mount);
      open = false;
    },
  };
}

function absolute(path: string): string {
  try {
    return realpathSync(path);
  } catch (error) {
    throw toOsupdError(error, path);
  }
}
