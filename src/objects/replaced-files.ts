/**
 * Files of a pool that a repair has replaced or removed while a mount uses them. The mount keeps the old file: through it an image
 * still needs every object that it names, and whoever has an object open still reads its old content. So the old file keeps a
 * name, `staging/replaced-images/DIGEST-N` or `staging/replaced-objects/DIGEST-N`, by which the kernel can be asked
 * whether it is still used (sys/open-elsewhere.ts). After a power cut no mount is left, so these names need not be durable.
 */
import { linkSync, mkdirSync, readdirSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Digest, isDigest } from '../core/digest.ts';
import { isSystemError, OsupdError, toOsupdError } from '../core/errors.ts';
import { dropUnusedInodes } from '../sys/kernel-caches.ts';
import { isOpenElsewhere } from '../sys/open-elsewhere.ts';

export type ReplacedKind = 'images' | 'objects';

const PREFIX = 'replaced-';

interface ReplacedFile {
  readonly path: string;
  readonly digest: Digest;
}

/** True for the name of a directory that is made here. */
export function isReplacedDirectory(name: string): boolean {
  return name === `${PREFIX}images` || name === `${PREFIX}objects`;
}

/** Gives a file that is going to be replaced or removed another name, when somebody has it open. */
export function keepWhileUsed(staging: string, kind: ReplacedKind, digest: Digest, path: string): void {
  try {
    if (isOpenElsewhere(path) === false) return;
    keepName(staging, kind, digest, path);
  } catch (error) {
    // There was none.
    if (error instanceof OsupdError && error.code === 'not-found') return;
    throw error;
  }
}

/** Gives a file another name, whether it is used now or not. */
export function keepName(staging: string, kind: ReplacedKind, digest: Digest, path: string): void {
  const directory = join(staging, PREFIX + kind);
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    for (let number = 0; ; number++) {
      try {
        linkSync(path, join(directory, `${digest}-${number}`));
        return;
      } catch (error) {
        if (!isSystemError(error, 'EEXIST')) throw error;
      }
    }
  } catch (error) {
    throw toOsupdError(error, path);
  }
}

/**
 * Objects that were replaced and that processes still read as they were, because they have them open. For all others the mounts
 * look again. Where the kernel does not forget the old inodes, all stay.
 */
export function settleReplacedObjects(staging: string): Digest[] {
  if (list(staging, 'objects').length === 0) return [];
  // Who closes a file after this leaves its old inode remembered: it is asked for once more the next time.
  const dryRun = !dropUnusedInodes();
  return replacedInUse(staging, 'objects', { dryRun });
}

/** Every replaced object that was not settled. */
export function replacedObjects(staging: string): Digest[] {
  return [...new Set(list(staging, 'objects').map(({ digest }) => digest))];
}

/** Replaced files that may still be used. Also those that nobody uses any more lose their names here, unless `dryRun`. */
export function replacedInUse(staging: string, kind: ReplacedKind, { dryRun = false } = {}): Digest[] {
  const used = new Set<Digest>();
  for (const { path, digest } of list(staging, kind)) {
    if (isOpenElsewhere(path) !== false) used.add(digest);
    else if (!dryRun) rmSync(path, { force: true });
  }
  if (!dryRun && used.size === 0) removeIfEmpty(join(staging, PREFIX + kind));
  return [...used];
}

function removeIfEmpty(directory: string): void {
  try {
    rmdirSync(directory);
  } catch (error) {
    // There was none, or another repair has put a file there.
    if (!isSystemError(error, 'ENOENT') && !isSystemError(error, 'ENOTEMPTY')) throw toOsupdError(error, directory);
  }
}

function list(staging: string, kind: ReplacedKind): ReplacedFile[] {
  const directory = join(staging, PREFIX + kind);
  try {
    return readdirSync(directory).flatMap((name) => {
      const digest = name.slice(0, name.indexOf('-'));
      return isDigest(digest) ? [{ path: join(directory, name), digest: digest as Digest }] : [];
    });
  } catch (error) {
    // Nothing was ever replaced under a mount.
    if (isSystemError(error, 'ENOENT')) return [];
    throw toOsupdError(error, directory);
  }
}
