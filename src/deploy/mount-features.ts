/** What newer kernels do better, and what to say when a kernel cannot do it at all. */
import { release } from 'node:os';
import { OsupdError } from '../core/errors.ts';

/** Abilities with a fallback. Whether a kernel has one is found out by trying. */
export type MountFeature =
  /** EROFS from a regular file (Linux 6.12); else through a loop device. */
  | 'file-backed-erofs'
  /** Layers of an overlay as descriptors of detached mounts (6.15); else through mountpoints that exist for a moment. */
  | 'layer-descriptors'
  /** One option a layer, `lowerdir+` and `datadir+` (6.7); else one option string for mount(2). */
  | 'append-layers';

/** Features to do without, as if the kernel had none of them: how the tests take every path on one kernel. */
export type WithoutFeatures = ReadonlySet<MountFeature>;

/** True when the running kernel is at least `version` (`6.5`). For messages: decisions are made by trying. */
export function kernelIsAtLeast(version: string): boolean {
  const [major = 0, minor = 0] = release().split('.').map(Number.parseFloat);
  const [wantedMajor = 0, wantedMinor = 0] = version.split('.').map(Number);
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
}

/** The error for a kernel that lacks something osupd cannot do without (exit status 9). */
export function kernelLacks(
  feature: string,
  since: string,
  details: { where?: string; remedy?: string; cause?: unknown },
) {
  return new OsupdError('unsupported', `this kernel (${release()}) cannot do it: ${feature} needs Linux ${since}`, {
    ...details,
    facts: { feature, since, kernel: release() },
  });
}
