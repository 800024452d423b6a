/** Reads through a new mount before anybody else can: a stack that cannot be read must never replace one that can. */
import { closeSync, openSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { ByteString } from '../core/bytes.ts';
import { isSystemError, OsupdError, toOsupdError } from '../core/errors.ts';
import { MAX_INLINE_BYTES } from '../core/limits.ts';
import { OVERLAY } from '../image/format.ts';
import { readXattrs } from '../sys/xattr.ts';
import type { ImageMount } from './image-mount.ts';
import { measureFile } from './object-verity.ts';

/** Entries that are looked at before a tree counts as one without objects. */
const MAX_ENTRIES = 20_000;

/**
 * Opens one file of a mounted stack whose content is an object of the pool. The kernel mounts an overlay whose objects it
 * will refuse: with verity=require and no fs-verity in kernel or file system, or with another directory in place of the pool.
 * @param mount descriptor of the overlay. @param layers its images. @param pool path of its objects.
 * @throws OsupdError `unsupported` when fs-verity is required and not to be had; `damaged-store` when the object is missing
 *   or has another digest.
 */
export function probeStack(mount: number, layers: readonly ImageMount[], pool: string, requireVerity: boolean): void {
  const root = `/proc/self/fd/${mount}`;
  const path = findFileWithObject(root);
  if (path === undefined) return;
  try {
    closeSync(openSync(join(root, path), 'r'));
  } catch (error) {
    if (!isSystemError(error)) throw error;
    const object = join(pool, objectBehind(path, layers) ?? '');
    if (requireVerity && error.code === 'EIO' && measureFile(object) === undefined) {
      throw new OsupdError('unsupported', 'fs-verity is required, but this kernel or the pool has it not', {
        where: object,
        remedy:
          'set verity = "off", or use a kernel with CONFIG_FS_VERITY and a file system with fs-verity for the pool',
        facts: { feature: 'fs-verity', file: path },
        cause: error,
      });
    }
    if (error.code !== 'EIO' && error.code !== 'ENOENT') throw toOsupdError(error, object);
    const what = error.code === 'ENOENT' ? 'is missing' : 'does not have the digest that the image wants';
    throw new OsupdError('damaged-store', `the object of ${path} ${what}`, {
      where: object,
      remedy: 'run "osupd fsck --repair"',
      facts: { file: path },
      cause: error,
    });
  }
}

/** Path, relative to the root, of the first file that is too large to be kept in an image. */
function findFileWithObject(root: string): string | undefined {
  const queue = [''];
  let entries = 0;
  for (let directory = queue.shift(); directory !== undefined; directory = queue.shift()) {
    for (const entry of readdirSync(join(root, directory), { withFileTypes: true })) {
      if (++entries > MAX_ENTRIES) return undefined;
      const path = join(directory, entry.name);
      if (entry.isDirectory()) queue.push(path);
      // A name that is not UTF-8 is not found again.
      else if (entry.isFile() && (statSync(join(root, path), { throwIfNoEntry: false })?.size ?? 0) > MAX_INLINE_BYTES)
        return path;
    }
  }
  return undefined;
}

/** Path of the object, relative to the pool, that the topmost image with this file names. */
function objectBehind(path: string, layers: readonly ImageMount[]): ByteString | undefined {
  for (const { mount } of layers) {
    const file = `/proc/self/fd/${mount}/${path}`;
    if (statSync(file, { throwIfNoEntry: false }) === undefined) continue;
    const redirect = readXattrs(Buffer.from(file).toString('latin1')).get(OVERLAY.redirect);
    return redirect && Buffer.from(redirect).toString('latin1').replace(/^\//, '');
  }
  return undefined;
}
