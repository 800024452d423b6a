/** Whether a process still exists. */
import { isSystemError } from '../core/errors.ts';

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it lives, as another user.
    return !isSystemError(error, 'ESRCH');
  }
}
