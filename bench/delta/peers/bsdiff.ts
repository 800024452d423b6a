/** bsdiff: a patch for each new file that an old one is like, and an archive of the others. */
import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { measure, together } from '../measure.ts';
import { expectSameFile, type Pair, type Peer } from '../peer.ts';
import { type NewFile, newFiles } from '../tree-files.ts';

export const bsdiff: Peer = {
  name: 'bsdiff',
  description:
    'a patch for each new file that has an old one of its path or nearly so (made on all cores), the rest as `tar` with `zstd -19`; contents alone, no names or modes',
  programs: { bsdiff: 'bsdiff', bspatch: 'bsdiff', zstd: 'zstd' },
  measure(pair, { scratch }) {
    for (const name of ['patches', 'made']) mkdirSync(join(scratch, name));
    const files = newFiles(pair.old.directory, pair.next.directory);
    const based = files.filter(({ base }) => base !== undefined).map((file) => locate(file, pair, scratch));
    const others = files.filter(({ base }) => base === undefined).map(({ path }) => path);
    const archive = join(scratch, 'others.tar.zst');
    writeFileSync(join(scratch, 'others'), nulEnded(others));
    const pack = 'tar -C "$1" --no-recursion --null -T "$2/others" -c | zstd -q -19 -o "$2/others.tar.zst"';
    const unpack = 'zstd -q -d -c "$2/others.tar.zst" | tar -x -C "$2/made"';
    const shell = (script: string) => measure(['sh', '-ec', script, 'sh', pair.next.directory, scratch]);
    const generation = together(
      eachOf(
        'bsdiff',
        based.map(({ old, next, patch }) => [old, next, patch]),
        scratch,
      ),
      shell(pack),
    );
    const application = together(
      eachOf(
        'bspatch',
        based.map(({ old, made, patch }) => [old, made, patch]),
        scratch,
      ),
      shell(unpack),
    );
    for (const { made, next } of based) expectSameFile(made, next);
    for (const path of others) expectSameFile(join(scratch, 'made', path), join(pair.next.directory, path));
    return {
      size: based.reduce((sum, { patch }) => sum + statSync(patch).size, statSync(archive).size),
      generation,
      application,
      note: `${based.length} patches, ${others.length} other files`,
    };
  },
};

function locate({ path, base }: NewFile, { old, next }: Pair, scratch: string) {
  const flat = path.replaceAll('/', '%');
  return {
    old: join(old.directory, base!),
    next: join(next.directory, path),
    patch: join(scratch, 'patches', flat),
    made: join(scratch, 'patches', `${flat}.made`),
  };
}

/** Runs a program of three arguments on all cores, largest list first come. */
function eachOf(program: string, lists: readonly (readonly string[])[], scratch: string) {
  const list = join(scratch, `${program}.list`);
  writeFileSync(list, nulEnded(lists.flat()));
  const cores = String(availableParallelism());
  return measure(['xargs', '--null', '--no-run-if-empty', '-n', '3', '-P', cores, '--arg-file', list, program]);
}

function nulEnded(words: readonly string[]): string {
  return words.map((word) => `${word}\0`).join('');
}
