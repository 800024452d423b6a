/** Commands that are killed, and disks that lose their power: readers have a whole view, and the next run finishes. */
import { spawn, spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { syncFileSystem } from '../../src/sys/durable.ts';
import { CrashDisk } from '../helpers/crash-disk.ts';
import { killNodeBefore } from '../helpers/kill.ts';
import { enterMountNamespace } from '../helpers/mount-namespace.ts';
import { describeWith } from '../helpers/requirements.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';
import { build, contentsOf, makeRepository, newPlace, seededRandom, type TestRepository, text } from './fixture.ts';

const SCALE = Number(process.env.OSUPD_TEST_SCALE ?? 1);
const PROGRAM = resolve(import.meta.dirname, '../helpers/osupd-from-source.ts');
const base = temporaryDirectory();
const pool = join(base, 'pool');
let template: TestRepository;

/** A repository that offers os@1, with os@2 in the pool, not published. */
beforeAll(async () => {
  const files = Object.fromEntries(Array.from({ length: 12 }, (_, at) => [`f${at}`, text(`f${at}`, 60_000)]));
  await build(pool, 'os@1', { ...files, own: text('one', 9000), large: seededRandom('1')(800_000) });
  await build(pool, 'os@2', { ...files, f3: text('new', 60_000), large: seededRandom('2')(900_000) });
  // Commands in processes of their own have the clock of the machine.
  template = await makeRepository(base, { pool, now: new Date() });
  await template.publish('os@1', { now: new Date(), full: true });
  await template.offer('os@1');
});

function publishing({ directory, keys }: TestRepository): string[] {
  return [PROGRAM, 'repo', 'publish', directory, '--keys', keys, '--pool', pool, '--effort', '1', '--quiet', 'os@2'];
}

function run(args: readonly string[]): void {
  const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
}

describe('a publish that is killed', () => {
  it('at any instant leaves a whole view, and the next one completes it', async () => {
    const whole = template.copyTo(newPlace(base));
    const started = performance.now();
    run(publishing(whole));
    const duration = performance.now() - started;
    const expected = [...contentsOf(whole.directory).keys()].filter((path) => !/^(metadata|targets)\//.test(path));
    let killed = 0;
    for (let round = 0; round < 3 * SCALE; round++) {
      const repository = template.copyTo(newPlace(base));
      for (let again = 0; again < 2; again++) {
        const child = spawn(process.execPath, publishing(repository), { stdio: 'ignore' });
        const ended = new Promise<string | null>((done) => child.once('exit', (_status, signal) => done(signal)));
        await pause(Math.random() * duration);
        child.kill('SIGKILL');
        if ((await ended) === 'SIGKILL') killed++;
        expect(await repository.problems(new Date())).toEqual([]);
      }
      run(publishing(repository));
      expect(await repository.problems(new Date())).toEqual([]);
      for (const path of expected) expect(contentsOf(repository.directory).has(path)).toBe(true);
      rmSync(repository.directory, { recursive: true });
    }
    expect(killed).toBeGreaterThan(0);
  });
});

describeWith(['root', 'strace', 'mkfs.ext4'], 'a disk that loses its power', () => {
  it('has a whole view, whatever a publish was doing, and all of it when that had ended', () => {
    enterMountNamespace();
    using disk = new CrashDisk(base);
    const verify = (repository: TestRepository) => run([PROGRAM, 'repo', 'verify', repository.directory, '--quiet']);
    let ended = false;
    // Renames are what makes things visible; every sixth will do.
    for (let count = 1; !ended; count += SCALE > 1 ? 1 : 6) {
      const directory = join(disk.directory, `repository-${count}`);
      const repository = template.copyTo(directory);
      syncFileSystem(disk.directory);
      ended = !killNodeBefore('rename', count, publishing(repository));
      disk.crash();
      verify(repository);
      run(publishing(repository));
      verify(repository);
      rmSync(directory, { recursive: true });
    }
  });
});
