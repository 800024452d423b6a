/** Runs a program in a process of its own under GNU time, and says what it took. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What a program took. */
export interface Usage {
  /** Seconds on the clock. */
  readonly wall: number;
  /** Seconds of all cores, with all child processes. */
  readonly cpu: number;
  /** Largest memory of one process, in bytes. */
  readonly memory: number;
  /** How many cores other work kept busy meanwhile, on average. Times are good where this is near 0. */
  readonly others: number;
}

export interface Measured {
  readonly usage: Usage;
  readonly stdout: string;
}

/** Ticks of /proc/stat in a second: USER_HZ, the same for all architectures of Linux that matter here. */
const TICKS = 100;

/** @throws Error with the program's last words when it fails. */
export function measure(command: readonly string[]): Usage {
  return measureOutput(command).usage;
}

/** Gives what the program printed too. @throws Error with its last words when it fails. */
export function measureOutput(command: readonly string[]): Measured {
  const base = mkdtempSync(join(tmpdir(), 'osupd-bench-'));
  try {
    const report = join(base, 'time');
    // What was written before must not be written back meanwhile.
    spawnSync('sync');
    const before = busyTicks();
    const { status, stdout, stderr, error } = spawnSync(
      '/usr/bin/time',
      ['-o', report, '-f', '%e %U %S %M', ...command],
      { encoding: 'utf8', maxBuffer: 1 << 28, stdio: ['ignore', 'pipe', 'pipe'] },
    );
    const busy = (busyTicks() - before) / TICKS;
    if (error !== undefined) throw error;
    if (status !== 0) throw new Error(`${command.join(' ')}: exit ${status}\n${stderr.slice(-2000)}`);
    const [wall, user, system, kibibytes] = readFileSync(report, 'utf8').trim().split(' ').map(Number);
    const cpu = user! + system!;
    const others = Math.max(0, busy - cpu) / Math.max(wall!, 0.01);
    return { usage: { wall: wall!, cpu, memory: kibibytes! * 1024, others }, stdout };
  } finally {
    rmSync(base, { recursive: true, force: true });
  }
}

/** Several programs, one after the other, as one. */
export function together(...usages: readonly Usage[]): Usage {
  const sum = (value: (usage: Usage) => number) => usages.reduce((total, usage) => total + value(usage), 0);
  const wall = sum((usage) => usage.wall);
  return {
    wall,
    cpu: sum(({ cpu }) => cpu),
    memory: Math.max(...usages.map(({ memory }) => memory)),
    others: sum((usage) => usage.others * usage.wall) / Math.max(wall, 0.01),
  };
}

/** Time of all cores that was not idle, since the machine started. */
function busyTicks(): number {
  const line = readFileSync('/proc/stat', 'utf8').split('\n', 1)[0]!;
  const [user, nice, system, , , irq, softirq, steal] = line.trim().split(/ +/).slice(1).map(Number);
  return user! + nice! + system! + irq! + softirq! + steal!;
}
