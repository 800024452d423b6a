/** New file systems in parts of a disk. What is mounted is so where nobody sees it, and not any more when this process ends. */
import { closeSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { OsupdError } from '../core/errors.ts';
import { syncFileSystem } from '../sys/durable.ts';
import { createMount } from '../sys/mount.ts';
import type { Partition } from './partitions.ts';
import { runProgram } from './run-program.ts';
import type { TargetDisk } from './target-disk.ts';

export const STATE_FILE_SYSTEMS = ['ext4', 'btrfs', 'xfs'] as const;
export type StateFileSystem = (typeof STATE_FILE_SYSTEMS)[number];

/** For each file system its program's arguments before the device. */
const MAKE: Readonly<Record<StateFileSystem, (uuid: string) => string[]>> = {
  // fs-verity wants blocks as large as pages. Root's share of 5 % is for systems where users fill the disk.
  ext4: (uuid) => ['-q', '-F', '-O', 'verity', '-b', '4096', '-m', '1', '-L', 'state', '-U', uuid],
  btrfs: (uuid) => ['-q', '-f', '-L', 'state', '-U', uuid],
  xfs: (uuid) => ['-q', '-f', '-L', 'state', '-m', `uuid=${uuid}`],
};

/** Largest cluster of a FAT: each file may waste so much. */
const CLUSTER_BYTES = 32 << 10;
/** Two tables of 4 bytes for each cluster of a partition of some GB, and reserved blocks. */
const TABLE_BYTES = 4 << 20;

/** A mounted file system; what is written to it is on disk when it is closed. */
export interface MountedPart extends AsyncDisposable {
  /** Its root directory, as long as this process lives. */
  readonly directory: string;
}

/**
 * Makes a FAT32, as firmware wants it (UEFI 2.10, section 13.3), with everything that is in a directory. It is not mounted: by far not
 * every kernel that builds images has FAT.
 * @throws OsupdError `no-space`
 */
export async function makeEsp(disk: TargetDisk, partition: Partition, content: string): Promise<void> {
  const needed = fatBytes(content);
  const missing = needed - partition.length;
  if (missing > 0) {
    throw new OsupdError('no-space', `the EFI system partition needs ${needed} bytes, ${missing} more than it has`, {
      where: disk.path,
      remedy: 'give it more with --esp-size; an update needs room for a second kernel and initrd',
      facts: { missing, needed, size: partition.length },
    });
  }
  using device = disk.openPart(partition);
  await runProgram('mkfs.vfat', ['-F', '32', '-n', 'ESP', device.path], disk.path);
  const names = readdirSync(content).map((name) => join(content, name));
  await runProgram('mcopy', ['-s', '-i', device.path, ...names, '::/'], disk.path);
}

/** What files take of a FAT, with a little for its tables. */
function fatBytes(directory: string): number {
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => statSync(join(parentPath, name)).size);
  return files.reduce(
    (sum, size) => sum + Math.ceil(size / CLUSTER_BYTES) * CLUSTER_BYTES,
    TABLE_BYTES + entries.length * CLUSTER_BYTES,
  );
}

/** @param uuid of the file system, by which the kernel arguments name it. */
export async function makeState(
  disk: TargetDisk,
  partition: Partition,
  type: StateFileSystem,
  uuid: string,
): Promise<MountedPart> {
  using device = disk.openPart(partition);
  await runProgram(`mkfs.${type}`, [...MAKE[type](uuid), device.path], disk.path);
  const mount = createMount(type, [['source', device.path]], 'writable');
  // Not /proc/self: programs that this process starts find it, too.
  const directory = `/proc/${process.pid}/fd/${mount}`;
  return {
    directory,
    async [Symbol.asyncDispose]() {
      try {
        syncFileSystem(directory);
      } finally {
        closeSync(mount);
      }
    },
  };
}
