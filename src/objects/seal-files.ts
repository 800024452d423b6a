/** Enables fs-verity on staged files. For objects it runs on a worker thread: the kernel hashes each file once more to build its tree. */
import { closeSync, openSync } from 'node:fs';
import { toOsupdError } from '../core/errors.ts';
import { enableVerity } from '../sys/verity.ts';

/** Stops at the first file and gives false where the file system has no fs-verity. */
export function sealFiles(paths: readonly string[]): boolean {
  for (const path of paths) {
    try {
      const fd = openSync(path, 'r');
      try {
        if (enableVerity(fd) === 'unsupported') return false;
      } finally {
        closeSync(fd);
      }
    } catch (error) {
      throw toOsupdError(error, path);
    }
  }
  return true;
}
