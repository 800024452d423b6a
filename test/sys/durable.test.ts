import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  removeDurably,
  replaceSymlinkDurably,
  syncDirectory,
  syncFileSystem,
  writeFileDurably,
} from '../../src/sys/durable.ts';
import { itWith } from '../helpers/requirements.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';

const parent = temporaryDirectory();
const newDirectory = () => mkdtempSync(join(parent, 'd-'));
const MODULE = new URL('../../src/sys/durable.ts', import.meta.url);

describe('durable changes', () => {
  it('a file is written with its mode, whatever the umask, and replaced', async () => {
    const path = join(newDirectory(), 'file');
    const umask = process.umask(0o077);
    try {
      await writeFileDurably(path, 'one');
      expect(statSync(path).mode & 0o7777).toBe(0o644);
      await writeFileDurably(path, Buffer.from('two'), 0o600);
    } finally {
      process.umask(umask);
    }
    expect(readFileSync(path, 'utf8')).toBe('two');
    expect(statSync(path).mode & 0o7777).toBe(0o600);
  });

  it('a write that fails leaves neither the file nor a temporary one', async () => {
    const directory = newDirectory();
    const path = join(directory, 'name');
    mkdirSync(join(path, 'inside'), { recursive: true });
    await expect(writeFileDurably(path, 'x')).rejects.toMatchObject({ code: 'io', where: path });
    expect(readdirSync(directory)).toEqual(['name']);
    const nowhere = join(directory, 'nowhere', 'file');
    await expect(writeFileDurably(nowhere, 'x')).rejects.toMatchObject({ code: 'not-found' });
  });

  it('a symlink is made, then replaced', () => {
    const directory = newDirectory();
    const path = join(directory, 'current');
    replaceSymlinkDurably(path, 'one');
    replaceSymlinkDurably(path, 'two');
    expect(readlinkSync(path)).toBe('two');
    expect(readdirSync(directory)).toEqual(['current']);
  });

  it('files and whole directories are removed, and what is not there is left at that', () => {
    const directory = newDirectory();
    mkdirSync(join(directory, 'tree/a/b'), { recursive: true });
    writeFileSync(join(directory, 'tree/a/b/c'), '');
    writeFileSync(join(directory, 'file'), '');
    for (const name of ['tree', 'file', 'neither']) removeDurably(join(directory, name));
    expect(readdirSync(directory)).toEqual([]);
  });

  it('what a killed process left behind goes with the next change, what a living one writes stays', async () => {
    const directory = newDirectory();
    const dead = spawnSync(process.execPath, ['-e', 'process.stdout.write(String(process.pid))']).stdout.toString();
    writeFileSync(join(directory, `.file.${dead}-0-1.tmp`), '');
    mkdirSync(join(directory, `.tree.${dead}-0-2.tmp/deep`), { recursive: true });
    writeFileSync(join(directory, `.file.${process.ppid}-0-1.tmp`), '');
    writeFileSync(join(directory, '.hidden.tmp'), '');
    await writeFileDurably(join(directory, 'file'), 'x');
    expect(readdirSync(directory).sort()).toEqual([`.file.${process.ppid}-0-1.tmp`, '.hidden.tmp', 'file']);
  });

  it('file systems and directories are synced by any path on them', () => {
    const directory = newDirectory();
    const file = join(directory, 'file');
    writeFileSync(file, '');
    syncFileSystem(directory);
    syncFileSystem(file);
    syncDirectory(directory);
    const nowhere = join(directory, 'nowhere');
    for (const sync of [syncFileSystem, syncDirectory])
      expect(() => sync(nowhere)).toThrow(expect.objectContaining({ code: 'not-found', where: nowhere }));
  });

  itWith(['strace'], 'content is on disk before the name, and the name before the call returns', () => {
    const directory = newDirectory();
    const log = join(directory, 'trace');
    const script = `
      const { writeFileDurably } = await import(process.argv[1]);
      await writeFileDurably(process.argv[2], 'content');
      process.stdout.write('returned');`;
    spawnSync('strace', [
      ...['-f', '-y', '-o', log, '-e', 'trace=write,pwrite64,fsync,rename,renameat,renameat2'],
      ...[process.execPath, '--input-type=module', '-e', script, MODULE.href, join(directory, 'file')],
    ]);
    const steps = readFileSync(log, 'utf8')
      .split('\n')
      .filter((line) => line.includes(directory) || line.includes('"returned"'))
      .map((line) => /\b(p?write|fsync|rename)/.exec(line)?.[0]);
    expect(steps).toEqual(['write', 'fsync', 'rename', 'fsync', 'write']);
    expect(existsSync(join(directory, 'file'))).toBe(true);
  });
});
