/** The machine that a measurement was made on. */
import { execFileSync } from 'node:child_process';
import { availableParallelism, cpus, release, totalmem } from 'node:os';
import type { Peer } from './peer.ts';

/** One line; measurements of machines with different lines are not compared. */
export function describeMachine(): string {
  const model = cpus()[0]?.model.trim() || 'unknown processor';
  return `${availableParallelism()} cores (${model}), ${Math.round(totalmem() / 2 ** 30)} GiB of memory, Linux ${release()}`;
}

/** Versions of what a peer runs, by the names of their packages. */
export function versionsOf({ name, programs, version }: Peer): Record<string, string> {
  const packages = [...new Set(Object.values(programs))];
  const found = packages.map((one) => [one, packageVersion(one) ?? 'not from Debian'] as const);
  return Object.fromEntries(version === undefined ? found : [...found, [name, version()]]);
}

/** Version of a Debian package; undefined where it is not installed. */
function packageVersion(name: string): string | undefined {
  try {
    const status = execFileSync('dpkg-query', ['--status', name], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return /^Version: (.*)$/m.exec(status)?.[1];
  } catch {
    // Not installed, or no Debian: the program alone does as well.
    return undefined;
  }
}

export function hasProgram(name: string): boolean {
  try {
    execFileSync('sh', ['-c', 'command -v "$1"', 'sh', name], { stdio: 'ignore' });
    return true;
  } catch {
    // What `command -v` says with its status.
    return false;
  }
}
