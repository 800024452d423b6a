import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { readDirectory } from '../../src/tree/read-directory.ts';
import { readTar } from '../../src/tree/read-tar.ts';
import { type Tree, walk } from '../../src/tree/tree.ts';
import { generator, makeOddTree, ODD_TREE_NEEDS, type OddTreeOptions } from '../helpers/odd-tree.ts';
import { describeWith } from '../helpers/requirements.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';
import { HashStore, treeLines } from '../helpers/trees.ts';

const ROUNDS = Math.ceil(3 * Number(process.env.OSUPD_TEST_SCALE ?? 1));
const scratch = temporaryDirectory();

/** What each format keeps of a tree, and how GNU tar is told to write it. */
const FORMATS: Record<
  string,
  { flags: string[]; made: OddTreeOptions; wholeSeconds?: boolean; xattrs?: boolean; noGhostRoot?: boolean }
> = {
  pax: { flags: ['--format=pax', '--xattrs', '--xattrs-include=*'], made: {}, xattrs: true },
  'pax, sparse 0.0': {
    flags: ['--format=pax', '--sparse', '--sparse-version=0.0', '--xattrs', '--xattrs-include=*'],
    made: {},
    xattrs: true,
  },
  'pax, sparse 0.1': {
    flags: ['--format=pax', '--sparse', '--sparse-version=0.1', '--xattrs', '--xattrs-include=*'],
    made: {},
    xattrs: true,
  },
  'pax, sparse 1.0': {
    flags: ['--format=pax', '--sparse', '--sparse-version=1.0', '--xattrs', '--xattrs-include=*'],
    made: {},
    xattrs: true,
  },
  gnu: { flags: ['--format=gnu'], made: {}, wholeSeconds: true },
  'gnu, sparse': { flags: ['--format=gnu', '--sparse'], made: {}, wholeSeconds: true },
  oldgnu: { flags: ['--format=oldgnu', '--sparse'], made: {}, wholeSeconds: true },
  ustar: {
    flags: ['--format=ustar'],
    made: { plainNames: true, maxId: 0o7777777, oldTimes: false },
    wholeSeconds: true,
  },
  v7: {
    flags: ['--format=v7'],
    made: { plainNames: true, maxId: 0o7777777, oldTimes: false, devices: false },
    wholeSeconds: true,
  },
};

describeWith(
  [...ODD_TREE_NEEDS, 'tar'],
  'an archive that GNU tar makes of a directory is the tree of that directory',
  () => {
    for (const [format, { flags, made, wholeSeconds = false, xattrs = false }] of Object.entries(FORMATS))
      it(format, async () => {
        for (let round = 0; round < ROUNDS; round++) {
          const seed = round * 1000 + Object.keys(FORMATS).indexOf(format);
          const root = join(scratch, 'tree');
          mkdirSync(root);
          makeOddTree(root, seed, 60, made);
          const expected = await readDirectory(root, { inlineLimit: 64, xattrs: xattrs ? 'all' : 'none' });
          if (wholeSeconds)
            for (const { entry } of walk(expected))
              if (entry.type !== 'hardlink') entry.mtime = { ...entry.mtime, nanoseconds: 0 };
          expect(treeLines(await tarOf(root, flags, seed)), `seed ${seed}`).toEqual(treeLines(expected));
          rmSync(root, { recursive: true });
        }
      });
  },
);

/** Archives the directory and reads the archive, in pieces as the pipe and the generator cut it. */
async function tarOf(root: string, flags: readonly string[], seed: number): Promise<Tree> {
  const tar = spawn('tar', ['--create', '--file=-', ...flags, '--directory', root, '.'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const random = generator(seed);
  async function* pieces() {
    for await (const chunk of tar.stdout as AsyncIterable<Buffer>)
      for (let at = 0; at < chunk.length; ) {
        const size = 1 + random(4000);
        yield chunk.subarray(at, at + size);
        at += size;
      }
  }
  return readTar(pieces(), { inlineLimit: 64, store: new HashStore(), where: 'archive' });
}

describeWith(['root', 'tar', 'setfacl'], 'ACLs that GNU tar writes as text', () => {
  it('are those that the directory has', async () => {
    const root = join(scratch, 'acl');
    execFileSync('sh', [
      '-ec',
      'mkdir -p "$0/d/plain"; echo x > "$0/f"; setfacl -m u:54321:rwx,g:54322:r "$0/f"; setfacl -m d:u:54323:rx,u:54324:x "$0/d"',
      root,
    ]);
    const expected = await readDirectory(root, { inlineLimit: 64 });
    expect(treeLines(await tarOf(root, ['--format=pax', '--acls'], 1))).toEqual(treeLines(expected));
  });
});
