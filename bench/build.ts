/**
 * `osupd build` beside composefs' own mkcomposefs, in turns, on one directory and one file system:
 *
 *     npm run build && node bench/build.ts TREE WORK MKCOMPOSEFS [ROUNDS]
 *
 * WORK is a directory for the pools, of the same file system for both. The tree is read once before, so that both find it in
 * memory. What was made is removed at the end, not between the rounds: ext4 does not use the inodes of removed files again for
 * some seconds, and looks for others for longer than either program runs. Needs GNU time.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';

const [tree = '', work = '', mkcomposefs = '', rounds = '5'] = process.argv.slice(2);
const OSUPD = resolve(import.meta.dirname, '../bin/osupd.js');

interface Run {
  readonly seconds: number;
  /** Largest memory of the process, MiB. */
  readonly memory: number;
}

function run(command: readonly string[]): Run {
  const { status, stderr } = spawnSync('/usr/bin/time', ['-f', '%e %M', ...command], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command.join(' ')}: exit ${status}\n${stderr}`);
  const [seconds, kibibytes] = (stderr.trim().split('\n').at(-1) ?? '').split(' ').map(Number);
  return { seconds: seconds ?? Number.NaN, memory: (kibibytes ?? Number.NaN) / 1024 };
}

function summary(name: string, runs: readonly Run[]): number {
  const times = runs.map(({ seconds }) => seconds).sort((a, b) => a - b);
  const median = times[times.length >> 1] ?? Number.NaN;
  const memory = Math.max(...runs.map((each) => each.memory));
  const range = `${times[0]?.toFixed(2)} to ${times.at(-1)?.toFixed(2)} s`;
  console.log(`${name.padEnd(12)} median ${median.toFixed(2)} s (${range}), ${memory.toFixed(0)} MiB`);
  return median;
}

execFileSync('sh', ['-c', 'find "$1" -type f -exec cat {} + > /dev/null', 'sh', tree]);
const base = mkdtempSync(join(work, 'bench-build-'));
try {
  const theirs: Run[] = [];
  const ours: Run[] = [];
  for (let round = 1; round <= Number(rounds); round++) {
    const store = join(base, `store-${round}`);
    theirs.push(run([mkcomposefs, `--digest-store=${store}`, tree, join(base, `image-${round}`)]));
    const pool = join(base, `pool-${round}`);
    ours.push(run([process.execPath, OSUPD, 'build', tree, '--name', 'os', '--version', '1', '--pool', pool, '-q']));
    const [their, our] = [theirs.at(-1)?.seconds ?? 0, ours.at(-1)?.seconds ?? 0];
    console.log(
      `round ${round}: mkcomposefs ${their.toFixed(2)} s, osupd ${our.toFixed(2)} s, ratio ${(our / their).toFixed(2)}`,
    );
  }
  const their = summary('mkcomposefs', theirs);
  const our = summary('osupd', ours);
  console.log(`ratio of the medians ${(our / their).toFixed(2)}`);
} finally {
  rmSync(base, { recursive: true, force: true });
}
