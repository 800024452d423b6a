/** What the kernel remembers of files that nobody has open. */
import { writeFileSync } from 'node:fs';
import { isSystemError } from '../core/errors.ts';

/** Names and inodes that nobody uses (Documentation/admin-guide/sysctl/vm.rst, drop_caches). */
const DENTRIES_AND_INODES = '2';

/**
 * Makes the kernel forget unused inodes: an overlay mount keeps the one of an object that was replaced, and then looks again.
 * @returns false where this process may not: without root, or in a container.
 */
export function dropUnusedInodes(): boolean {
  try {
    writeFileSync('/proc/sys/vm/drop_caches', DENTRIES_AND_INODES);
    return true;
  } catch (error) {
    if (isSystemError(error, 'EACCES') || isSystemError(error, 'EROFS') || isSystemError(error, 'EPERM')) return false;
    throw error;
  }
}
