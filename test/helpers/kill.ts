/** Ends processes at a chosen system call. Needs strace. */
import { spawnSync } from 'node:child_process';
import { expect } from 'vitest';

/** The calls that change names and mounts. */
export const CHANGING_CALLS = ['symlink', 'rename', 'unlink', 'move_mount', 'umount2'] as const;

/**
 * Runs JavaScript in a process of its own and kills that before its `count`th call (from 1) of one kind.
 * @param skipped calls that do nothing and succeed.
 * @returns false when it ended well before.
 */
export function killBefore(
  call: string,
  count: number,
  code: string,
  args: readonly string[],
  skipped: readonly string[] = [],
): boolean {
  return killNodeBefore(call, count, ['--input-type=module', '-e', code, ...args], skipped);
}

/** Like {@link killBefore}, for a program with worker threads, which cannot be given as code. */
export function killNodeBefore(
  call: string,
  count: number,
  args: readonly string[],
  skipped: readonly string[] = [],
): boolean {
  const skip = skipped.flatMap((name) => ['-e', `inject=${name}:retval=0`]);
  const inject = ['-e', `trace=${[call, ...skipped]}`, '-e', `inject=${call}:signal=SIGKILL:when=${count}`, ...skip];
  const child = spawnSync(
    'strace',
    ['-f', '-qq', '-o', '/dev/null', ...inject, process.execPath, ...args],
    // One thread for calls of node:fs/promises: strace counts the calls of each thread.
    { encoding: 'utf8', env: { ...process.env, UV_THREADPOOL_SIZE: '1' } },
  );
  if (child.signal === 'SIGKILL') return true;
  expect({ status: child.status, stderr: child.stderr }).toEqual({ status: 0, stderr: '' });
  return false;
}
