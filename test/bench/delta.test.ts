import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, it } from 'vitest';
import { describeWith } from '../helpers/requirements.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';

const BENCH = resolve(import.meta.dirname, '../../bench/delta.ts');
const OSUPD = resolve(import.meta.dirname, '../helpers/osupd-from-source.ts');
const directory = temporaryDirectory();

/** Two small trees with their tars. */
function makeTrees(): string {
  const trees = join(directory, 'trees');
  const lines = Array.from({ length: 3000 }, (_, line) => `line ${line * 7919}\n`);
  for (const name of ['small-1', 'small-2']) {
    mkdirSync(join(trees, name, 'etc'), { recursive: true });
    mkdirSync(join(trees, name, 'usr/share'), { recursive: true });
    writeFileSync(join(trees, name, 'etc/same'), lines.slice(0, 500).join(''));
    writeFileSync(join(trees, name, 'usr/share/text-1'), [...lines, name].join(''));
    writeFileSync(join(trees, name, `usr/share/only-${name}`), lines.map((line) => `${name} ${line}`).join(''));
    execFileSync('tar', ['-C', join(trees, name), '--sort=name', '-cf', join(trees, `${name}.tar`), '.']);
  }
  return trees;
}

function bench(...args: readonly string[]) {
  const common = ['--work', join(directory, 'work'), '--pairs', 'small-1:small-2', '--osupd', OSUPD];
  return spawnSync(process.execPath, [BENCH, ...common, ...args], { encoding: 'utf8' });
}

describeWith(['zstd', '/usr/bin/time'], 'node bench/delta.ts', () => {
  it('measures osupd and another program, and writes the table', () => {
    const trees = makeTrees();
    const options = ['--trees', trees, '--peers', 'osupd,zstd', '--write', join(directory, 'BENCHMARKS.md')];
    const { status, stderr } = bench(...options);
    expect({ status, stderr }).toMatchObject({ status: 0 });
    const table = readFileSync(join(directory, 'BENCHMARKS.md'), 'utf8');
    expect(table).toMatch(/^# Benchmarks\n/);
    expect(table).toContain('\n## small-1 → small-2\n');
    for (const peer of ['osupd', 'zstd']) expect(table).toMatch(new RegExp(`^\\| ${peer} \\| [\\d,]+ \\|`, 'm'));
    expect(table).toMatch(/^\| names, modes, digests \| 0 \| 0 \| \d+ \|$/m);
    expect(table).toMatch(/\d+ cores/);
  });

  it('measures nothing a second time', () => {
    const results = join(directory, 'work/results.jsonl');
    const before = readFileSync(results, 'utf8');
    expect(before.trim().split('\n')).toHaveLength(2);
    const { status, stdout } = bench('--trees', join(directory, 'trees'), '--peers', 'osupd,zstd');
    expect(status).toBe(0);
    expect(stdout).toContain('| zstd |');
    expect(readFileSync(results, 'utf8')).toBe(before);
  });

  it('goes on with others when a program fails, and says so with its status', () => {
    cpSync(join(directory, 'trees/small-2'), join(directory, 'trees/small-3'), { recursive: true });
    writeFileSync(join(directory, 'trees/small-3.tar'), '');
    const { status, stderr } = bench(
      ...[
        '--trees',
        join(directory, 'trees'),
        '--pairs',
        'small-3:small-1',
        '--peers',
        'zstd,osupd',
        '--osupd',
        'gone.js',
      ],
    );
    expect(status).toBe(1);
    expect(stderr).toMatch(/^small-3:small-1 osupd failed: .*gone\.js/m);
  });

  it('refuses a peer that it does not know', () => {
    const { status, stderr } = bench('--trees', join(directory, 'trees'), '--peers', 'rsync');
    expect(status).not.toBe(0);
    expect(stderr).toContain('no peer "rsync"');
  });
});
