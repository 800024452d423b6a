/**
 * `node layer-paths.ts FULL BASE`: the paths below FULL that are not the same in BASE - by type, mode, owner, content or link
 * target - each as `./path` with NUL behind it, parents first. make-trees.sh makes layers of them.
 */
import { lstatSync, readdirSync, readFileSync, readlinkSync, type Stats } from 'node:fs';
import { join } from 'node:path';

const [full = '', base = ''] = process.argv.slice(2);
list('');

function list(folder: string): void {
  for (const name of readdirSync(join(full, folder)).sort()) {
    const path = join(folder, name);
    const status = lstatSync(join(full, path));
    const old = lstatSync(join(base, path), { throwIfNoEntry: false });
    if (old === undefined || !isSame(path, status, old)) process.stdout.write(`./${path}\0`);
    if (status.isDirectory()) list(path);
  }
}

function isSame(path: string, a: Stats, b: Stats): boolean {
  if (a.mode !== b.mode || a.uid !== b.uid || a.gid !== b.gid) return false;
  const [next, old] = [join(full, path), join(base, path)];
  if (a.isFile()) return a.size === b.size && readFileSync(next).equals(readFileSync(old));
  return !a.isSymbolicLink() || readlinkSync(next) === readlinkSync(old);
}
