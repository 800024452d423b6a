/** New file systems in parts of a disk. They are mounted where nobody sees them, and nothing stays mounted when this process ends. */
import { closeSync } from 'node:fs';
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

/** A mounted file system; what is written to it is on disk when it is closed. */
export interface MountedPart extends AsyncDisposable {
  /** Its root directory, for this process alone: not for programs that it starts. */
  readonly directory: string;
}

/** FAT32, as firmware wants it (UEFI 2.10, section 13.3). */
export function makeEsp(disk: TargetDisk, partition: Partition): Promise<MountedPart> {
  return make(disk, partition, 'vfat', ['-F', '32', '-n', 'ESP'], [['umask', '0077']]);
}

/** @param uuid of the file system, by which the kernel arguments name it. */
export function makeState(
  disk: TargetDisk,
  partition: Partition,
  type: StateFileSystem,
  uuid: string,
): Promise<MountedPart> {
  return make(disk, partition, type, MAKE[type](uuid), []);
}

async function make(
  disk: TargetDisk,
  partition: Partition,
  type: string,
  words: readonly string[],
  options: readonly (readonly [string, string])[],
): Promise<MountedPart> {
  using device = disk.openPart(partition);
  await runProgram(`mkfs.${type}`, [...words, device.path], disk.path);
  const mount = createMount(type, [['source', device.path], ...options], 'writable');
  const directory = `/proc/self/fd/${mount}`;
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
