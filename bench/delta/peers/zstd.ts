/** zstd: the new tar with the old one as what it may refer to. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { measure } from '../measure.ts';
import { expectSameFile, type Peer } from '../peer.ts';

export const zstd: Peer = {
  name: 'zstd',
  description: '`-19 --long=31 --patch-from` of the whole tars',
  programs: { zstd: 'zstd' },
  measure({ old, next }, { scratch }) {
    const patch = join(scratch, 'patch');
    const made = join(scratch, 'made');
    const common = ['zstd', '--quiet', '--force', '--long=31', `--patch-from=${old.tar}`];
    const generation = measure([...common, '-19', next.tar, '-o', patch]);
    const application = measure([...common, '--decompress', patch, '-o', made]);
    expectSameFile(made, next.tar);
    return { size: statSync(patch).size, generation, application };
  },
};
