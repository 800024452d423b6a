import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { fromText, toBytes, toText } from '../../src/core/bytes.ts';
import type { OsupdError } from '../../src/core/errors.ts';
import { setXattr } from '../../src/sys/xattr.ts';
import { type DirectoryOptions, readDirectory } from '../../src/tree/read-directory.ts';
import { type FileNode, nodeOf, type Tree, walk } from '../../src/tree/tree.ts';
import { enterMountNamespace } from '../helpers/mount-namespace.ts';
import { makeOddTree, ODD_TREE_NEEDS } from '../helpers/odd-tree.ts';
import { itWith } from '../helpers/requirements.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';
import { treeLines } from '../helpers/trees.ts';

const scratch = temporaryDirectory();

function fresh(name: string): string {
  const path = join(scratch, name);
  mkdirSync(path);
  return path;
}

function read(root: string, options: Partial<DirectoryOptions> = {}): Promise<Tree> {
  return readDirectory(root, { inlineLimit: 64, ...options });
}

function paths(tree: Tree): string[] {
  return [...walk(tree)].map(({ path }) => toText(path)).slice(1);
}

async function failure(reading: Promise<Tree>): Promise<OsupdError> {
  return reading.then(
    () => {
      throw new Error('it was read');
    },
    (error: OsupdError) => error,
  );
}

it('names, types, contents and links are those of the directory', async () => {
  const root = fresh('plain');
  mkdirSync(join(root, 'd'), { mode: 0o750 });
  writeFileSync(join(root, 'd', 'small'), 'x'.repeat(64));
  writeFileSync(join(root, 'd', 'large'), 'x'.repeat(65));
  writeFileSync(join(root, 'empty'), '');
  linkSync(join(root, 'd', 'large'), join(root, 'a-link'));
  symlinkSync('../no/where', join(root, 'l'));
  writeFileSync(join(root, 'z'), '');
  linkSync(join(root, 'z'), join(scratch, 'outside'));
  chmodSync(join(root, 'empty'), 0o4711);
  // A negative number would be taken for the present.
  utimesSync(join(root, 'd', 'small'), 5, new Date(-1500));
  const tree = await read(root);
  const { uid, gid } = statSync(root);
  const lines = treeLines(tree, ['mtime']).map((line) =>
    line.replaceAll(`${uid}:${gid}`, 'owner').replace(/ [0-9a-f]{64}$/, ''),
  );
  expect(lines.slice(1)).toEqual([
    '/a-link file 0644 owner links=2 65',
    '/d directory 0750 owner links=2',
    '/d/large = /a-link',
    '/d/small file 0644 owner links=1 64',
    '/empty file 04711 owner links=1 0',
    '/l symlink 0777 owner links=1 -> ../no/where',
    // It has a name elsewhere, which does not count.
    '/z file 0644 owner links=1 0',
  ]);
  const node = (path: string) =>
    nodeOf([...walk(tree)].find((visit) => visit.path === path)?.entry as FileNode) as FileNode;
  expect(node('/d/small')).toMatchObject({
    content: new Uint8Array(64).fill(0x78),
    mtime: { seconds: -2n, nanoseconds: 500_000_000 },
  });
  expect(node('/d/small').source).toBeUndefined();
  const large = lstatSync(join(root, 'a-link'), { bigint: true });
  expect(node('/a-link')).toMatchObject({
    source: join(root, 'a-link'),
    sourceStat: { size: 65, mtimeNs: large.mtimeNs, ino: large.ino },
  });
  expect(tree.root).toMatchObject({ mode: statSync(root).mode & 0o7777, nlink: 3 });
  expect(tree.root.mtime.seconds * 1_000_000_000n + BigInt(tree.root.mtime.nanoseconds)).toBe(
    lstatSync(root, { bigint: true }).mtimeNs,
  );
});

it('names that are not UTF-8 keep their bytes', async () => {
  const root = fresh('bytes');
  const name = '\xff\xfe \n\x80';
  mkdirSync(toBytes(`${fromText(root)}/${name}`));
  writeFileSync(toBytes(`${fromText(root)}/${name}/\xe9`), 'content that is not inline'.repeat(9));
  symlinkSync(toBytes('\xe9'), toBytes(`${fromText(root)}/\xe8`));
  const tree = await read(root);
  expect([...walk(tree)].map(({ path }) => path)).toEqual(['/', '/\xe8', `/${name}`, `/${name}/\xe9`]);
  expect(tree.root.children.get('\xe8')).toMatchObject({ target: '\xe9' });
  expect(treeLines(tree).at(-1)).toMatch(/ 234 [0-9a-f]{64}$/);
});

it('sparse and huge files are not read', async () => {
  const root = fresh('huge');
  writeFileSync(join(root, 'huge'), '');
  truncateSync(join(root, 'huge'), 2 ** 43);
  expect((await read(root)).root.children.get('huge')).toMatchObject({ size: 2 ** 43 });
});

it('a socket is a socket', async () => {
  const root = fresh('socket');
  const server = createServer().listen(join(root, 's'));
  await new Promise((resolve) => server.once('listening', resolve));
  expect((await read(root)).root.children.get('s')).toMatchObject({ type: 'socket' });
  server.close();
});

it('xattrs are taken from files, directories and the root', async () => {
  const root = fresh('xattrs');
  writeFileSync(join(root, 'f'), '');
  setXattr(fromText(root), 'user.root', Buffer.from('1'));
  setXattr(fromText(join(root, 'f')), 'user.\xe9', Buffer.from([0, 255]));
  expect(treeLines(await read(root)).map((line) => /user\..*/.exec(line)?.[0])).toEqual([
    'user.root=31',
    'user.\\xe9=00ff',
  ]);
  expect((await read(root, { xattrs: 'none' })).root.xattrs.size).toBe(0);
});

itWith(ODD_TREE_NEEDS, 'owners, devices, capabilities and ACLs are those that stat and getfattr show', async () => {
  const root = fresh('odd');
  makeOddTree(root, 7, 80);
  const tree = await read(root);
  const listed = execFileSync('find', [root, '-printf', '%U:%G %m %y\\0'], { encoding: 'latin1' })
    .split('\0')
    .slice(0, -1);
  const letters = { directory: 'd', file: 'f', symlink: 'l', character: 'c', block: 'b', fifo: 'p', socket: 's' };
  const ours = [...walk(tree)]
    .map(({ entry }) => nodeOf(entry))
    .map((node) => `${node.uid}:${node.gid} ${node.mode.toString(8)} ${letters[node.type]}`);
  expect(ours.sort()).toEqual(listed.sort());
  const names = new Set([...walk(tree)].flatMap(({ entry }) => [...nodeOf(entry).xattrs.keys()]));
  for (const name of ['security.capability', 'system.posix_acl_access', 'system.posix_acl_default', 'trusted.t'])
    expect(names).toContain(name);
});

it('excluded entries are not there, nor what is in them, and their names do not count', async () => {
  const root = fresh('exclude');
  mkdirSync(join(root, 'cache', 'deep'), { recursive: true });
  writeFileSync(join(root, 'cache', 'x'), '');
  writeFileSync(join(root, 'a.pyc'), '');
  linkSync(join(root, 'a.pyc'), join(root, 'kept'));
  const tree = await read(root, { exclude: ['cache/*', '**/*.pyc'] });
  expect(paths(tree)).toEqual(['/cache', '/kept']);
  expect(tree.root.children.get('kept')).toMatchObject({ type: 'file', nlink: 1 });
});

it('times are clamped and owners mapped', async () => {
  const root = fresh('options');
  writeFileSync(join(root, 'f'), '');
  utimesSync(join(root, 'f'), 10, 10);
  const clampMtime = { seconds: 1000n, nanoseconds: 0 };
  const tree = await read(root, { clampMtime, owners: { uids: 12, gids: [{ from: 0, to: 70000, count: 2 ** 32 }] } });
  expect(tree.root).toMatchObject({ mtime: clampMtime, uid: 12, gid: 70000 + statSync(root).gid });
  expect(tree.root.children.get('f')).toMatchObject({ mtime: { seconds: 10n, nanoseconds: 0 }, uid: 12 });
});

it('the root may be a symlink to a directory, and must be there', async () => {
  const root = fresh('target');
  writeFileSync(join(root, 'f'), '');
  symlinkSync(root, join(scratch, 'to-target'));
  expect(paths(await read(join(scratch, 'to-target')))).toEqual(['/f']);
  expect(await failure(read(join(scratch, 'nothing')))).toMatchObject({
    code: 'not-found',
    where: join(scratch, 'nothing'),
  });
  expect(await failure(read(join(root, 'f')))).toMatchObject({ code: 'not-found', message: 'not a directory' });
});

itWith(['root', 'mount'], 'other file systems are left out when asked', async () => {
  const root = fresh('mounts');
  enterMountNamespace();
  mkdirSync(join(root, 'proc'));
  mkdirSync(join(root, 'own'));
  writeFileSync(join(root, 'own', 'f'), '');
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'mode=0711', 'none', join(root, 'proc')]);
  writeFileSync(join(root, 'proc', 'inside'), '');
  expect(paths(await read(root))).toEqual(['/own', '/own/f', '/proc', '/proc/inside']);
  const alone = await read(root, { oneFileSystem: true });
  expect(paths(alone)).toEqual(['/own', '/own/f', '/proc']);
  expect(alone.root.children.get('proc')).toMatchObject({ mode: 0o711 });
  execFileSync('umount', [join(root, 'proc')]);
});

/** A directory of 3000 files in three directories, and a reading that calls `change` when it is at about the middle. */
function disturbed(name: string, change: (root: string) => void): Promise<OsupdError> {
  const root = fresh(name);
  for (const directory of ['a', 'b', 'c']) {
    mkdirSync(join(root, directory));
    for (let index = 0; index < 1000; index++) writeFileSync(join(root, directory, `f${index}`), 'x');
  }
  let changed = false;
  return failure(
    read(root, {
      progress: (event) => {
        if (event.kind !== 'advance' || changed) return;
        changed = true;
        change(root);
      },
    }),
  );
}

it.each([
  ['a file that vanishes', 'b/f999', (root: string) => rmSync(join(root, 'b/f999'))],
  ['a file that comes', 'b', (root: string) => writeFileSync(join(root, 'b/new'), '')],
  ['a directory that vanishes', 'c', (root: string) => rmSync(join(root, 'c'), { recursive: true })],
  ['a directory that was read before', '', (root: string) => writeFileSync(join(root, 'new'), '')],
])('%s while the tree is read is an error that names it', async (title, path, change) => {
  const error = await disturbed(title, change);
  expect(error).toMatchObject({ code: 'changed-while-read', where: join(scratch, title, path) });
});

it('a change of a file that was not reached yet is no error', async () => {
  const root = fresh('calm');
  for (let index = 0; index < 2000; index++) writeFileSync(join(root, `f${index}`), 'x');
  const last = readdirSync(root).sort().at(-1) as string;
  const tree = await read(root, {
    progress: (event) => event.kind === 'advance' && event.done < 1500 && appendFileSync(join(root, last), 'y'),
  });
  expect(tree.root.children.get(last)).toMatchObject({ size: 2 });
});

it('a signal stops the reading', async () => {
  const controller = new AbortController();
  const root = fresh('signal');
  for (let index = 0; index < 1500; index++) writeFileSync(join(root, `f${index}`), '');
  const reading = read(root, {
    signal: controller.signal,
    progress: (event) => event.kind === 'advance' && controller.abort(),
  });
  expect(await failure(reading)).toMatchObject({ code: 'interrupted' });
});

it('a tree as deep as a path can be is read without a deep stack', async () => {
  const root = fresh('deep');
  mkdirSync(join(root, 'd/'.repeat(1500)), { recursive: true });
  expect(paths(await read(root))).toHaveLength(1500);
});
