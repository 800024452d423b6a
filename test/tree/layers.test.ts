import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { fromText, toBytes } from '../../src/core/bytes.ts';
import { applyLayer } from '../../src/tree/layers.ts';
import { readTar } from '../../src/tree/read-tar.ts';
import { type DirectoryNode, type Entry, nodeOf, type Tree, walk } from '../../src/tree/tree.ts';
import { archive, directoryEntry, fileEntry, header, pax, stream } from '../helpers/tar-writer.ts';
import { common, directory, file, HashStore, treeLines } from '../helpers/trees.ts';

const options = { inlineLimit: 64, store: new HashStore(), where: 'layer' };

function tree(children: Record<string, Entry>): Tree {
  return { root: directory(children) };
}

function layered(base: Tree | undefined, bytes: Uint8Array): Promise<Tree> {
  return readTar(stream(bytes), { ...options, base });
}

function paths(of: Tree): string[] {
  return [...walk(of)].map(({ path }) => path).slice(1);
}

const link = (name: string, target: string) => header({ name, type: '1', link: target });
const whiteout: Entry = { type: 'character', ...common(0), rdev: 0 };
const opaque = (value: string) => new Map([['trusted.overlay.opaque', Buffer.from(value)]]);

describe('OCI layers', () => {
  it('make the tree that other tools make of them', async () => {
    const golden = new URL('../golden/oci-layers/', import.meta.url);
    let merged: Tree | undefined = tree({});
    for (const name of ['layer-1.tar.gz', 'layer-2.tar.zst', 'layer-3.tar'])
      merged = await layered(merged, readFileSync(new URL(name, golden)));
    const expected = JSON.parse(readFileSync(new URL('merged.json', golden), 'utf8')) as Record<string, unknown>[];
    const firstNames = new Map<Entry, string>();
    const rows = [...walk(merged)].map(({ path, entry }) => {
      const node = nodeOf(entry);
      const first = firstNames.get(node);
      firstNames.set(node, first ?? path);
      return {
        path,
        type: { character: 'char' }[node.type as string] ?? node.type,
        mode: node.mode.toString(8),
        uid: node.uid,
        gid: node.gid,
        mtime: Number(node.mtime.seconds),
        ...(first === undefined ? {} : { sameFileAs: first }),
        ...(node.type === 'file' ? { size: node.size } : {}),
        ...(node.type === 'symlink' ? { link: node.target } : {}),
        ...(node.xattrs.size === 0
          ? {}
          : {
              xattrs: Object.fromEntries(
                [...node.xattrs].map(([key, value]) => [key, Buffer.from(value).toString('hex')]),
              ),
            }),
      };
    });
    expect(rows).toEqual(
      expected.map(({ sha256, fsverity, device, mtime, path, ...rest }) => ({
        ...rest,
        path: fromText(path as string),
        mtime: mtime ?? 0,
      })),
    );
    const contents = expected.map(({ sha256 }) => sha256);
    const ours = treeLines(await layeredAgain(golden)).map((line) => / ([0-9a-f]{64})/.exec(line)?.[1]);
    for (const [index, digest] of ours.entries()) if (digest !== undefined) expect(digest).toBe(contents[index]);
    expect(ours.filter((digest) => digest !== undefined).length).toBeGreaterThan(10);
  });

  async function layeredAgain(golden: URL): Promise<Tree> {
    let merged = tree({});
    for (const name of ['layer-1.tar.gz', 'layer-2.tar.zst', 'layer-3.tar'])
      merged = await readTar(stream(readFileSync(new URL(name, golden)), [100]), {
        ...options,
        inlineLimit: 0,
        base: merged,
      });
    return merged;
  }

  const base = () =>
    tree({
      f: file('base'),
      d: directory({ a: file('a'), sub: directory({ deep: file('deep') }) }, { mode: 0o700, uid: 3 }),
      l: { type: 'symlink', ...common(0o777), target: 'd' },
    });

  it('take away files and whole directories, in any order, but nothing of their own', async () => {
    const entries = [
      fileEntry('d/.wh.a'),
      fileEntry('d/a', 'new'),
      fileEntry('.wh.f'),
      fileEntry('d/.wh.sub'),
      fileEntry('d/sub/x'),
    ];
    for (const order of [entries, entries.toReversed()]) {
      const result = await layered(base(), archive(...order));
      expect(paths(result)).toEqual(['/d', '/d/a', '/d/sub', '/d/sub/x', '/l']);
      expect(result.root.children.get('d')).toMatchObject({ mode: 0o700, uid: 3 });
    }
  });

  it('hide all of a directory with an opaque mark, wherever it stands', async () => {
    const entries = [fileEntry('d/.wh..wh..opq'), fileEntry('d/new'), directoryEntry('d', { mode: 0o711 })];
    for (const order of [entries, entries.toReversed()]) {
      const result = await layered(base(), archive(...order));
      expect(paths(result)).toEqual(['/d', '/d/new', '/f', '/l']);
      expect(result.root.children.get('d')).toMatchObject({ mode: 0o711, uid: 0 });
    }
  });

  it('link to files below, which stay when their name goes', async () => {
    const result = await layered(base(), archive(link('h', 'f'), fileEntry('.wh.f'), link('a-first', 'd/a')));
    expect(treeLines(result, ['mtime']).map((line) => line.split(' ').slice(0, 3).join(' '))).toEqual([
      '/ directory 0755',
      '/a-first file 0644',
      '/d directory 0700',
      '/d/a = /a-first',
      '/d/sub directory 0755',
      '/d/sub/deep file 0644',
      '/h file 0644',
      '/l symlink 0777',
    ]);
    expect(result.root.children.get('a-first')).toMatchObject({ nlink: 2 });
    expect(result.root.children.get('h')).toMatchObject({ nlink: 1 });
  });

  it('replace whatever has the name', async () => {
    const result = await layered(
      base(),
      archive(directoryEntry('f'), fileEntry('d', 'now a file'), directoryEntry('l'), fileEntry('l/x')),
    );
    expect(paths(result)).toEqual(['/d', '/f', '/l', '/l/x']);
  });

  it('leave the base as it was', async () => {
    const below = base();
    const before = treeLines(below);
    await layered(below, archive(fileEntry('.wh.f'), directoryEntry('d', { uid: 9 }), link('h', 'd/a')));
    expect(treeLines(below)).toEqual(before);
  });

  it.each([
    ['a way through a symlink of the base', archive(fileEntry('l/x')), 'in the base it is a symlink'],
    ['a way through a file of the base', archive(fileEntry('f/x')), 'in the base it is a file'],
    ['a whiteout of nothing', archive(fileEntry('d/.wh.')), 'no whiteout'],
    ['a whiteout of the parent', archive(fileEntry('d/.wh...')), 'no whiteout'],
    ['a reserved name', archive(fileEntry('.wh..wh.plnk')), 'no whiteout'],
    ['a directory called like a whiteout', archive(directoryEntry('.wh.d')), 'no whiteout'],
  ])('%s is refused', async (_, bytes, message) => {
    await expect(layered(base(), bytes)).rejects.toMatchObject({
      code: 'invalid-tree',
      where: expect.stringMatching(/^layer: \//),
      message: expect.stringContaining(message),
    });
  });

  it('make no directory for whiteouts of nothing', async () => {
    expect(
      paths(await layered(base(), archive(fileEntry('x/y/.wh.z'), fileEntry('v/.wh..wh..opq'), fileEntry('.wh.d')))),
    ).toEqual(['/f', '/l']);
    expect(
      paths(await layered(base(), archive(directoryEntry('x/y'), fileEntry('x/y/.wh.z'), fileEntry('.wh.d')))),
    ).toContain('/x/y');
  });

  it('are a plain tree without a base', async () => {
    expect(paths(await layered(undefined, archive(fileEntry('.wh.x'), header({ name: 'c', type: '3' }))))).toEqual([
      '/.wh.x',
      '/c',
    ]);
  });
});

describe('upper directories of overlayfs', () => {
  const base = () => tree({ f: file('base'), g: file('g'), d: directory({ a: file('a') }) });

  it('take away by devices 0:0, which may be one file with many names', () => {
    const result = applyLayer(base(), tree({ f: whiteout, g: { type: 'hardlink', target: whiteout }, none: whiteout }));
    expect(paths(result)).toEqual(['/d', '/d/a']);
  });

  it('take away by xattr, as overlays in overlays do', () => {
    const gone = file('', { xattrs: new Map([['trusted.overlay.whiteout', Buffer.alloc(0)]]) });
    const upper = tree({ d: directory({ a: gone }, { xattrs: opaque('x') }) });
    expect(paths(applyLayer(base(), upper))).toEqual(['/d', '/f', '/g']);
  });

  it('hide by the opaque xattr, and what the overlay noted for itself is gone', () => {
    const xattrs = new Map([
      ...opaque('y'),
      ['user.overlay.impure', Buffer.from('y')],
      ['user.kept', Buffer.from('1')],
    ]);
    const nested = new Map([['trusted.overlay.overlay.opaque', Buffer.from('y')]]);
    const result = applyLayer(base(), tree({ d: directory({ b: file('b', { xattrs: nested }) }, { xattrs }) }));
    expect(paths(result)).toEqual(['/d', '/d/b', '/f', '/g']);
    const d = result.root.children.get('d') as DirectoryNode;
    expect([...d.xattrs.keys()]).toEqual(['user.kept']);
    expect([...(nodeOf(d.children.get('b') as Entry).xattrs ?? [])]).toEqual([...nested]);
  });

  it('are refused when part of them is elsewhere', () => {
    for (const name of ['trusted.overlay.redirect', 'trusted.overlay.metacopy']) {
      const upper = tree({ d: directory({}, { xattrs: new Map([[name, Buffer.from('/x')]]) }) });
      expect(() => applyLayer(base(), upper)).toThrow('written by an overlay with');
    }
  });

  it('mix with OCI whiteouts', () => {
    const result = applyLayer(
      base(),
      tree({ '.wh.f': file(''), g: whiteout, d: directory({ '.wh..wh..opq': file('') }) }),
    );
    expect(paths(result)).toEqual(['/d']);
  });
});

it('whatever is in the base is not taken for a whiteout', () => {
  const base = tree({
    c: whiteout,
    '.wh.x': file(''),
    d: directory({ '.wh..wh..opq': file(''), y: file('') }, { xattrs: opaque('y') }),
  });
  const result = applyLayer(base, tree({ new: file('') }));
  expect(paths(result)).toEqual(['/.wh.x', '/c', '/d', '/d/.wh..wh..opq', '/d/y', '/new']);
});

it('layers on layers are what one after the other shows', async () => {
  const one = archive(
    directoryEntry('d'),
    fileEntry('d/a', '1'),
    pax({ 'SCHILY.xattr.user.x': '1' }),
    fileEntry('d/b', '1'),
  );
  const two = archive(fileEntry('d/.wh.a'), fileEntry('c', '2'));
  const three = archive(fileEntry('d/a', '3'), fileEntry('.wh.c'));
  let result = tree({});
  for (const bytes of [one, two, three]) result = await layered(result, bytes);
  expect(paths(result)).toEqual(['/d', '/d/a', '/d/b']);
  expect(toBytes(treeLines(result).join()).includes('user.x')).toBe(true);
});
