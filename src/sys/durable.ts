/**
 * Changes that survive a power cut: what is written under a new name is on disk before the name is, and the name is on
 * disk when the call returns.
 *
 * Temporary names are `.NAME.PID-THREAD-N.tmp` in the same directory. One that a dead process left behind is removed by the next
 * process that makes a durable change in the directory.
 */
import {
  closeSync,
  constants,
  fsyncSync,
  lstatSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { threadId } from 'node:worker_threads';
import { isSystemError, toOsupdError } from '../core/errors.ts';
import { callError, lastErrno, libc } from './libc.ts';
import { isAlive } from './processes.ts';

/** Writes everything of the file system that holds `path` to disk: one call for any number of new files. */
export function syncFileSystem(path: string): void {
  withDescriptor(path, (fd) => {
    if (libc().syncfs(fd) < 0) throw callError('syncfs', lastErrno(), { where: path });
  });
}

/** Makes the names in a directory durable (not the contents of its files). */
export function syncDirectory(path: string): void {
  withDescriptor(path, fsyncSync);
}

/**
 * Writes a file whole, or not at all: after a crash the name has the old content or the new one.
 * @throws OsupdError `no-space`, `not-found`, `io`.
 */
export async function writeFileDurably(path: string, bytes: Uint8Array | string, mode = 0o644): Promise<void> {
  const temporary = temporaryName(path);
  try {
    const file = await open(temporary, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, mode);
    try {
      // The mode given to open() is cut by the umask.
      await file.chmod(mode);
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw toOsupdError(error, path);
  }
  syncDirectory(dirname(path));
}

/** Makes `path` a symlink to `target`, in place of whatever symlink it was, in one step. */
export function replaceSymlinkDurably(path: string, target: string): void {
  const temporary = temporaryName(path);
  try {
    symlinkSync(target, temporary);
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw toOsupdError(error, path);
  }
  syncDirectory(dirname(path));
}

/**
 * Removes a file or a whole directory; a name that is not there is left at that. The name of a directory goes first, in
 * one step, so that a crash never leaves half a directory under it.
 */
export function removeDurably(path: string): void {
  try {
    if (lstatSync(path).isDirectory()) {
      const temporary = temporaryName(path);
      renameSync(path, temporary);
      syncDirectory(dirname(path));
      rmSync(temporary, { recursive: true });
    } else {
      rmSync(path);
    }
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return;
    throw toOsupdError(error, path);
  }
  syncDirectory(dirname(path));
}

function withDescriptor(path: string, use: (fd: number) => void): void {
  try {
    const fd = openSync(path, 'r');
    try {
      use(fd);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw toOsupdError(error, path);
  }
}

let counter = 0;
const swept = new Set<string>();

function temporaryName(path: string): string {
  const directory = dirname(path);
  sweepOnce(directory);
  counter++;
  return join(directory, `.${basename(path)}.${process.pid}-${threadId}-${counter}.tmp`);
}

/** Removes temporary names of processes that are no more; once for each directory, for it costs a listing. */
function sweepOnce(directory: string): void {
  const key = resolve(directory);
  if (swept.has(key)) return;
  swept.add(key);
  try {
    for (const name of readdirSync(directory)) {
      const maker = /^\..+\.(\d+)-(\d+)-\d+\.tmp$/.exec(name);
      if (maker === null) continue;
      const pid = Number(maker[1]);
      // A name with this very thread's numbers is of an earlier process: this one has made no name here yet.
      const alive = pid === process.pid ? Number(maker[2]) !== threadId : isAlive(pid);
      if (!alive) rmSync(join(directory, name), { recursive: true, force: true });
    }
  } catch (error) {
    throw toOsupdError(error, directory);
  }
}
