/** ostree: a static delta between two commits of a repository as servers have it (archive). */
import { readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { measure } from '../measure.ts';
import { type Pair, type Peer, run } from '../peer.ts';

/** Whatever size, nothing is left out of the delta or of differencing, and all is in one file: the form that is applied. */
const INLINE = ['--inline', '--min-fallback-size=0', '--max-bsdiff-size=1000', '--max-chunk-size=1000'];

export const ostree: Peer = {
  name: 'ostree',
  description:
    '`static-delta generate` with its defaults, and the objects that it leaves out; applied by `apply-offline` in the inline form, in which nothing is left out, to a bare repository',
  programs: { ostree: 'ostree' },
  measure(pair, { scratch }) {
    const server = `--repo=${join(scratch, 'server')}`;
    commitBoth(server, pair);
    const generate = ['ostree', server, 'static-delta', 'generate', '--from=old', '--to=new'];
    const generation = measure(generate);
    const shown = run('ostree', server, 'static-delta', 'show', run('ostree', server, 'static-delta', 'list').trim());
    const left = Number(/Total Fallback Size: (\d+)/.exec(shown)?.[1] ?? 0);
    const size = deltaFiles(scratch).reduce((sum, path) => sum + statSync(path).size, left);
    run('rm', '-r', join(scratch, 'server/deltas'));
    run(generate[0]!, ...generate.slice(1), ...INLINE);
    const device = `--repo=${join(scratch, 'device')}`;
    run('ostree', device, 'init', '--mode=bare');
    run('ostree', device, 'pull-local', join(scratch, 'server'), 'old');
    const inline = deltaFiles(scratch).find((path) => path.endsWith('/superblock'))!;
    const application = measure(['ostree', device, 'static-delta', 'apply-offline', dirname(inline)]);
    run('ostree', device, 'refs', '--create=new', run('ostree', server, 'rev-parse', 'new').trim());
    run('ostree', device, 'fsck');
    return {
      size,
      generation,
      application,
      note: `the inline form has ${statSync(inline).size.toLocaleString('en')} bytes`,
    };
  },
};

function commitBoth(server: string, { old, next }: Pair): void {
  run('ostree', server, 'init', '--mode=archive');
  for (const [branch, { directory }] of Object.entries({ old, new: next }))
    run('ostree', server, 'commit', `--branch=${branch}`, '--timestamp=@0', `--tree=dir=${directory}`);
}

function deltaFiles(scratch: string): string[] {
  const folder = join(scratch, 'server/deltas');
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
}
