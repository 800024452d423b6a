/** How much of the file system a pull will take, before it takes any. */
import { closeSync, mkdtempSync, openSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { OsupdError } from '../core/errors.ts';
import type { Pool } from '../objects/pool.ts';
import { freeSpace } from '../sys/files.ts';
import { enableVerity, measureVerity } from '../sys/verity.ts';
import type { ObjectReference } from '../tree/references.ts';

/** The block of the file systems that osupd meets, and of fs-verity; ext4 with smaller blocks needs a little less. */
const BLOCK_BYTES = 4096;

/** Hashes of one block of an fs-verity tree: 4096 / 32. */
const HASHES_PER_BLOCK = 128;

/** Trusted metadata, heads and images that are kept while the pull runs, the deployment, journals: not counted one by one. */
const WORKING_BYTES = 4 << 20;
const WORKING_INODES = 64;

export interface SpaceNeed {
  readonly bytes: number;
  readonly inodes: number;
}

/** What the new files of a pool take: content in whole blocks, and what fs-verity stores beside it. */
export function spaceFor(
  pool: Pool,
  objects: readonly ObjectReference[],
  images: readonly { readonly size: number }[],
  verity: boolean,
): SpaceNeed {
  const files = [...objects, ...images].reduce((sum, { size }) => sum + fileSpace(size, verity), 0);
  const folders = new Set(objects.map(({ digest }) => digest.slice(0, 2)));
  const missing = [...folders].filter((name) => !isThere(join(pool.objectsDirectory, name)));
  return {
    bytes: files + missing.length * BLOCK_BYTES + WORKING_BYTES,
    inodes: objects.length + images.length + missing.length + WORKING_INODES,
  };
}

function fileSpace(size: number, verity: boolean): number {
  const blocks = Math.ceil(size / BLOCK_BYTES);
  return (blocks + (verity ? verityBlocks(blocks) : 0)) * BLOCK_BYTES;
}

/** Blocks of the hash tree over so many blocks of content, and one for the descriptor. */
function verityBlocks(blocks: number): number {
  let total = 1;
  for (let level = blocks; level > 1; ) {
    level = Math.ceil(level / HASHES_PER_BLOCK);
    total += level;
  }
  return total;
}

/**
 * @param need what the pull takes
 * @throws OsupdError `no-space` that says what is missing
 */
export function checkSpace(pool: Pool, need: SpaceNeed): void {
  const free = freeSpace(pool.directory);
  const missing = { bytes: Math.max(0, need.bytes - free.bytes), inodes: Math.max(0, need.inodes - free.inodes) };
  if (missing.bytes === 0 && missing.inodes === 0) return;
  const what = [
    ...(missing.bytes > 0 ? [`${missing.bytes} bytes (${need.bytes} needed, ${free.bytes} free)`] : []),
    ...(missing.inodes > 0 ? [`${missing.inodes} inodes (${need.inodes} needed, ${free.inodes} free)`] : []),
  ];
  throw new OsupdError('no-space', `not enough space for the update: missing ${what.join(' and ')}`, {
    where: pool.directory,
    remedy: 'free some space, or run osupd gc to remove old deployments',
    facts: { missing, need, free },
  });
}

/** True when files of this pool get fs-verity: an image of it tells, else a file that is made for the question. */
export async function poolHasVerity(pool: Pool): Promise<boolean> {
  const [image] = await pool.listImages();
  if (image !== undefined) return withFile(pool.imagePath(image), (fd) => measureVerity(fd) !== undefined);
  const directory = mkdtempSync(join(pool.stagingDirectory, 'verity-'));
  try {
    const path = join(directory, 'probe');
    writeFileSync(path, 'probe');
    return withFile(path, (fd) => enableVerity(fd) !== 'unsupported');
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function withFile<T>(path: string, use: (fd: number) => T): T {
  const fd = openSync(path, 'r');
  try {
    return use(fd);
  } finally {
    closeSync(fd);
  }
}

function isThere(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}
