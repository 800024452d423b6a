/** A file that turns into something else between two calls of the reader. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, vi } from 'vitest';
import { readDirectory } from '../../src/tree/read-directory.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';

vi.mock('node:fs', async (original) => {
  const fs = await original<typeof import('node:fs')>();
  const lstatSync = (path: string, options: { bigint: true }) => {
    const stat = fs.lstatSync(path, options);
    if (!path.endsWith('/swapped') || stat.isFIFO()) return stat;
    fs.rmSync(path);
    execFileSync('mkfifo', [path]);
    return stat;
  };
  return { ...fs, lstatSync };
});

it('a small file that becomes a pipe is an error, and nobody waits for the pipe', async () => {
  const root = join(temporaryDirectory(), 'tree');
  rmSync(root, { recursive: true, force: true });
  mkdirSync(root);
  writeFileSync(join(root, 'swapped'), 'small');
  await expect(readDirectory(root, { inlineLimit: 64 })).rejects.toMatchObject({
    code: 'changed-while-read',
    where: join(root, 'swapped'),
  });
});
