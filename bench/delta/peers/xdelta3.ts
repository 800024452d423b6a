/** xdelta3: VCDIFF between whole tars. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { measure } from '../measure.ts';
import { expectSameFile, type Peer } from '../peer.ts';

/** Bytes of the old tar that it can look back to: all of it. */
const SOURCE_WINDOW = 1 << 30;
/** Bytes of the new tar that are coded at once. */
const WINDOW = 16 << 20;

export const xdelta3: Peer = {
  name: 'xdelta3',
  description: 'VCDIFF of the whole tars: `-9 -S djw`, windows of 1 GiB and 16 MiB',
  programs: { xdelta3: 'xdelta3' },
  measure({ old, next }, { scratch }) {
    const patch = join(scratch, 'patch');
    const made = join(scratch, 'made');
    const source = ['-f', '-B', String(SOURCE_WINDOW), '-s', old.tar];
    const coding = ['-e', '-9', '-S', 'djw', '-W', String(WINDOW), '-I', '0'];
    const generation = measure(['xdelta3', ...coding, ...source, next.tar, patch]);
    const application = measure(['xdelta3', '-d', ...source, patch, made]);
    expectSameFile(made, next.tar);
    return { size: statSync(patch).size, generation, application };
  },
};
