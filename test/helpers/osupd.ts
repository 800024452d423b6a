/** Runs the built command line as a user would: bin/osupd.js in a process of its own. */
import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { resolve } from 'node:path';

export const LAUNCHER = resolve(import.meta.dirname, '../../bin/osupd.js');

export interface RunOptions {
  readonly cwd?: string;
  readonly input?: string | Uint8Array;
  readonly environment?: Readonly<Record<string, string>>;
}

export interface RunResult {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `osupd ARGS…` to its end, whatever its exit status. */
export function runOsupd(args: readonly string[], options: RunOptions = {}): RunResult {
  const result: SpawnSyncReturns<string> = spawnSync(process.execPath, [LAUNCHER, ...args], {
    encoding: 'utf8',
    cwd: options.cwd,
    input: options.input,
    env: { ...process.env, ...options.environment },
    maxBuffer: 1 << 28,
  });
  if (result.error !== undefined) throw result.error;
  return { status: result.status, stdout: result.stdout, stderr: result.stderr };
}

/** Runs `osupd ARGS…` and expects exit status 0; gives standard output. */
export function osupd(args: readonly string[], options: RunOptions = {}): string {
  const result = runOsupd(args, options);
  if (result.status !== 0)
    throw new Error(`osupd ${args.join(' ')}: exit ${result.status}\n${result.stderr}${result.stdout}`);
  return result.stdout;
}
