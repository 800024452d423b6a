import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { acquireLock } from '../../src/sys/lock.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';

const directory = temporaryDirectory();
const LOCK_MODULE = new URL('../../src/sys/lock.ts', import.meta.url);
const children: ChildProcess[] = [];
let number = 0;

const newPath = () => join(directory, `lock-${number++}`);

/** Another process that takes the lock and keeps it until it is killed. */
async function holdElsewhere(path: string, mode: string): Promise<ChildProcess> {
  const script = `
    const { acquireLock } = await import(process.argv[1]);
    acquireLock(process.argv[2], process.argv[3]);
    process.stdout.write('held');
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script, LOCK_MODULE.href, path, mode], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  await once(child.stdout, 'data');
  return child;
}

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

describe('locks', () => {
  it('an exclusive lock is busy for everybody else until it is released', () => {
    const path = newPath();
    const lock = acquireLock(path, 'exclusive');
    for (const mode of ['shared', 'exclusive'] as const)
      expect(() => acquireLock(path, mode)).toThrow(expect.objectContaining({ code: 'busy', where: path }));
    lock.release();
    acquireLock(path, 'exclusive').release();
  });

  it('shared locks go together and keep an exclusive one away', () => {
    const path = newPath();
    using _one = acquireLock(path, 'shared');
    {
      using _two = acquireLock(path, 'shared');
      expect(() => acquireLock(path, 'exclusive')).toThrow(expect.objectContaining({ code: 'busy' }));
    }
    expect(() => acquireLock(path, 'exclusive')).toThrow(expect.objectContaining({ code: 'busy' }));
  });

  it('a second release does nothing to whoever has the lock then', () => {
    const path = newPath();
    const first = acquireLock(path, 'exclusive');
    first.release();
    using _second = acquireLock(path, 'exclusive');
    first.release();
    expect(() => acquireLock(path, 'exclusive')).toThrow(expect.objectContaining({ code: 'busy' }));
  });

  it('the file is for its owner alone', () => {
    const path = newPath();
    acquireLock(path, 'exclusive').release();
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it('the message names the process that holds the lock, and a killed process holds none', async () => {
    const path = newPath();
    const holder = await holdElsewhere(path, 'exclusive');
    expect(() => acquireLock(path, 'shared')).toThrow(
      expect.objectContaining({ message: `locked by process ${holder.pid}`, facts: { pid: holder.pid } }),
    );
    holder.kill('SIGKILL');
    await once(holder, 'exit');
    acquireLock(path, 'exclusive').release();
  });

  it('the number of a process that is gone is not named', async () => {
    const path = newPath();
    const gone = await holdElsewhere(path, 'shared');
    const stays = await holdElsewhere(path, 'shared');
    // The later holder wrote its number; when it goes, the earlier one still has the lock.
    stays.kill('SIGKILL');
    await once(stays, 'exit');
    expect(() => acquireLock(path, 'exclusive')).toThrow(
      expect.objectContaining({ message: 'locked by another process', facts: {} }),
    );
    gone.kill('SIGKILL');
    await once(gone, 'exit');
  });

  it('a lock file that was removed and made again by others excludes all the same', () => {
    const path = newPath();
    const old = acquireLock(path, 'exclusive');
    rmSync(path);
    using _new = acquireLock(path, 'exclusive');
    old.release();
    expect(existsSync(path)).toBe(true);
    expect(() => acquireLock(path, 'exclusive')).toThrow(expect.objectContaining({ code: 'busy' }));
  });

  it('a directory that does not exist is not-found', () => {
    const path = join(directory, 'nowhere', 'lock');
    expect(() => acquireLock(path, 'exclusive')).toThrow(expect.objectContaining({ code: 'not-found', where: path }));
  });
});
