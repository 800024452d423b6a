/** I4 at random instants: what a disk holds while an operation runs, copied at any moment, is what a power cut would leave. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { enterMountNamespace } from '../helpers/mount-namespace.ts';
import { randomNumbers } from '../helpers/mutate.ts';
import { describeWith } from '../helpers/requirements.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';
import { DeviceProcess } from './device-process.ts';
import { Laboratory, OPERATIONS, type Operation } from './operations.ts';
import { faultsOf } from './whole.ts';

const directory = temporaryDirectory();
const SCALE = Number(process.env.OSUPD_TEST_SCALE ?? 1);
/** States of each operation. */
const STATES = SCALE > 1 ? 6 * SCALE : 5;
/** Copies of one run; the shelf of disks must hold them. */
const AT_ONCE = 12;
/** A process remembers little, but not nothing: a new one for so many states. */
const STATES_OF_PROCESS = 24;
const LIMIT_MS = 120_000 * Math.max(2, SCALE);

let laboratory: Laboratory;
let random: () => number;

/** Runs an operation once on a copy of its base and copies the disk meanwhile. @returns names of the copies, and when each was made. */
async function statesOf(
  { base, args, shows }: Operation,
  process: DeviceProcess,
  wanted: number,
  duration: number,
): Promise<{ states: string[]; duration: number }> {
  const { disks, root } = laboratory;
  disks.copy(base, 'run');
  disks.mount('run');
  if (shows) await process.run('activate', '--root', root);
  const moments = Array.from({ length: wanted }, () => random() * duration).sort((a, b) => a - b);
  const begun = performance.now();
  let ended: number | undefined;
  const running = process.run(...args, '--root', root).then((result) => {
    ended = performance.now() - begun;
    expect(result).toMatchObject({ status: 0 });
  });
  const states: string[] = [];
  for (const moment of moments) {
    await setTimeout(Math.max(0, moment - (performance.now() - begun)));
    if (ended !== undefined) break;
    const name = `state-${states.length}`;
    disks.copy('run', name);
    states.push(name);
  }
  await running;
  // One after the end, too: what was done is not lost.
  if (states.length < wanted) {
    disks.copy('run', 'state-end');
    states.push('state-end');
  }
  return { states, duration: ended ?? duration };
}

/** Replaces a file again and again, and never syncs it. */
const UNSAFE = `
  const { writeFileSync, renameSync } = require('node:fs');
  for (let number = 0; ; number++) {
    writeFileSync('new', 'x'.repeat(9000));
    renameSync('new', 'file-' + (number % 50));
  }`;

describeWith(['root', 'mkfs.ext4', 'mkfs.xfs'], 'the power fails at a random instant of', () => {
  beforeAll(async () => {
    enterMountNamespace();
    random = randomNumbers(Number(process.env.OSUPD_TEST_SEED ?? 5));
    laboratory = await Laboratory.create(directory);
  });
  afterEach(() => {
    laboratory.hide();
    laboratory.disks.unmount();
  });
  afterAll(() => laboratory?.[Symbol.dispose]());

  it.each(OPERATIONS)(
    '$name: the old or the new deployment is whole, and one command brings order',
    async (operation) => {
      const { disks } = laboratory;
      const { base, args, shows, name } = operation;
      const start = () => new DeviceProcess({ commandLine: laboratory.commandLineOf(base) });
      let worker = start();
      const once = async (...words: string[]) =>
        expect(await worker.run(...words, '--root', laboratory.root)).toMatchObject({ status: 0 });
      disks.copy(base, 'run');
      disks.mount('run');
      if (shows) await once('activate');
      const begun = performance.now();
      await once(...args);
      let duration = performance.now() - begun;
      laboratory.hide();
      const outcomes = await laboratory.outcomesOf(base);
      let done = 0;
      while (done < STATES) {
        const run = await statesOf(operation, worker, Math.min(AT_ONCE, STATES - done), duration);
        duration = run.duration;
        laboratory.hide();
        disks.unmount();
        for (const state of run.states) {
          disks.mount(state);
          const faults = await faultsOf(laboratory, operation, outcomes, worker, done);
          expect(faults, `state ${done} of ${name}`).toEqual([]);
          disks.unmount();
          disks.remove(state);
          if (++done % STATES_OF_PROCESS === 0) {
            await worker[Symbol.asyncDispose]();
            worker = start();
          }
        }
      }
      await worker[Symbol.asyncDispose]();
      if (SCALE > 1) process.stderr.write(`${name}: ${done} random states, 0 exceptions\n`);
    },
    LIMIT_MS,
  );

  it('a program that syncs nothing: these disks lose what it wrote', async () => {
    const { disks } = laboratory;
    disks.make('unsafe');
    disks.mount('unsafe');
    const child = spawn(process.execPath, ['-e', UNSAFE], { cwd: disks.mountpoint, stdio: 'ignore' });
    await expect.poll(() => existsSync(join(disks.mountpoint, 'file-40')), { timeout: 20_000 }).toBe(true);
    // The journal is written every five seconds, the contents later.
    execFileSync('sync', [join(disks.mountpoint, '.')]);
    disks.copy('unsafe', 'lost');
    child.kill('SIGKILL');
    await once(child, 'close');
    disks.unmount();
    disks.mount('lost');
    const sizes = readdirSync(disks.mountpoint)
      .filter((name) => name.startsWith('file-'))
      .map((name) => statSync(join(disks.mountpoint, name)).size);
    expect(sizes).toContain(0);
  });
});
