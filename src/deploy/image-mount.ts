/** One metadata image as a detached EROFS mount: from the file where the kernel can, else through a loop device. */
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { OsupdError, toOsupdError } from '../core/errors.ts';
import { FLAG_HAS_ACL, HEADER } from '../image/format.ts';
import { errnoOf } from '../sys/libc.ts';
import { openLoopDevice } from '../sys/loop.ts';
import { createMount, MAX_OPTION_BYTES, type MountOption } from '../sys/mount.ts';
import type { WithoutFeatures } from './mount-features.ts';

/** A detached mount of one image. */
export interface ImageMount {
  readonly path: string;
  /** Descriptor of the mount. */
  readonly mount: number;
}

/**
 * Mounts an image, attached nowhere.
 * @param path absolute path of the image file.
 * @throws OsupdError `not-found`; `damaged-image` when EROFS finds no image in the file; `unsupported` when the kernel has no EROFS or
 *   there is neither file-backed EROFS nor a loop device.
 */
export function mountImage(path: string, without: WithoutFeatures): ImageMount {
  const file = openImage(path);
  try {
    const options = hasAcl(file) ? [] : ([['noacl']] as const);
    return { path, mount: mountFile(file, path, options, without) };
  } catch (error) {
    // EFSCORRUPTED is EUCLEAN: the superblock or a structure near it is not what EROFS writes.
    if (errnoOf(error) !== 'EINVAL' && errnoOf(error) !== 'EUCLEAN') throw error;
    throw new OsupdError('damaged-image', 'EROFS cannot mount this file', {
      where: path,
      remedy: 'check it with "osupd image fsck"',
      cause: error,
    });
  } finally {
    closeSync(file);
  }
}

function mountFile(file: number, path: string, options: readonly MountOption[], without: WithoutFeatures): number {
  if (!without.has('file-backed-erofs')) {
    // A long path does not fit into an option; the kernel follows the descriptor's link to the same file.
    const source = Buffer.byteLength(path) > MAX_OPTION_BYTES ? `/proc/self/fd/${file}` : path;
    try {
      return createMount('erofs', [['source', source], ...options]);
    } catch (error) {
      // "Block device required": the kernel is older than 6.12, or the file is on tmpfs or overlayfs.
      if (errnoOf(error) !== 'ENOTBLK') throw error;
    }
  }
  using device = openLoopDevice(file, path);
  return createMount('erofs', [['source', device.path], ...options]);
}

function openImage(path: string): number {
  try {
    return openSync(path, constants.O_RDONLY);
  } catch (error) {
    throw toOsupdError(error, path);
  }
}

/** What the composefs header says: without any ACL in the tree the kernel need not look for them. */
function hasAcl(file: number): boolean {
  const header = Buffer.alloc(HEADER.bytes);
  readSync(file, header, 0, header.length, 0);
  const { magic, flags } = HEADER.offsets;
  return header.readUInt32LE(magic) !== HEADER.magic || (header.readUInt32LE(flags) & FLAG_HAS_ACL) !== 0;
}
