/** A small directory that is the same on every machine: all kinds of entries that a plain user can make. */

import { execFileSync } from 'node:child_process';
import { chmodSync, lutimesSync, mkdirSync, readdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { noise } from './pools.ts';

/** mtime of everything in it, in seconds. */
export const SAMPLE_TIME = 1_700_000_000;

/** Makes the directory `path`. Owners are those of the process. */
export function makeSampleTree(path: string): void {
  for (const name of ['', 'etc', 'usr', 'usr/bin', 'usr/share', 'var']) mkdirSync(join(path, name));
  const files = { 'etc/empty': 0, 'etc/inline': 64, 'etc/object': 65, 'usr/bin/tool': 5000, 'usr/share/data': 100_000 };
  for (const [name, size] of Object.entries(files)) writeFileSync(join(path, name), noise(size, size));
  writeFileSync(join(path, 'usr/share/same'), noise(5000, 5000));
  writeFileSync(join(path, 'var/names with \xe4 and = signs\n'), 'odd');
  symlinkSync('bin/tool', join(path, 'usr/link'));
  execFileSync('mkfifo', [join(path, 'var/pipe')]);
  setModesAndTimes(path);
}

function setModesAndTimes(path: string): void {
  const entries = readdirSync(path, { recursive: true, withFileTypes: true }).reverse();
  for (const entry of entries) {
    const full = join(entry.parentPath, entry.name);
    if (entry.isSymbolicLink()) lutimesSync(full, SAMPLE_TIME, SAMPLE_TIME);
    else {
      chmodSync(full, entry.isDirectory() ? 0o755 : entry.name === 'tool' ? 0o4755 : 0o640);
      utimesSync(full, SAMPLE_TIME, SAMPLE_TIME);
    }
  }
  chmodSync(path, 0o755);
  utimesSync(path, SAMPLE_TIME, SAMPLE_TIME);
}
