/** casync: the index of the new tree and the chunks that the store did not have. */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { measure } from '../measure.ts';
import { expectSameTree, type Peer } from '../peer.ts';

export const casync: Peer = {
  name: 'casync',
  description: 'the index and the new chunks, of 64 KiB on average, zstd',
  programs: { casync: 'casync' },
  measure({ old, next }, { scratch }) {
    const store = join(scratch, 'store');
    const index = join(scratch, 'new.caidx');
    const make = (to: string, from: string) =>
      measure([
        ...['casync', 'make', '--digest=sha256', '--compression=zstd', '--chunk-size=64K'],
        ...[`--store=${store}`, to, from],
      ]);
    make(join(scratch, 'old.caidx'), old.directory);
    const before = new Set(chunksIn(store));
    const generation = make(index, next.directory);
    const chunks = chunksIn(store);
    const fresh = chunks.filter((path) => !before.has(path));
    const made = join(scratch, 'made');
    const extract = ['casync', 'extract', `--store=${store}`, `--seed=${old.directory}`, index, made];
    const application = measure(extract);
    expectSameTree(made, next.directory);
    const size = fresh.reduce((sum, path) => sum + statSync(path).size, statSync(index).size);
    return { size, generation, application, note: `${fresh.length} new chunks of ${chunks.length}` };
  },
};

function chunksIn(store: string): string[] {
  const entries = readdirSync(store, { recursive: true, withFileTypes: true });
  return entries.filter(({ name }) => name.endsWith('.cacnk')).map(({ parentPath, name }) => join(parentPath, name));
}
