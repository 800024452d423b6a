import { execFileSync } from 'node:child_process';
import { Readable } from 'node:stream';
import { createZstdCompress, gzipSync, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { collect, toBytes } from '../../src/core/bytes.ts';
import type { Digest } from '../../src/core/digest.ts';
import { OsupdError } from '../../src/core/errors.ts';
import { readTar, type TarOptions } from '../../src/tree/read-tar.ts';
import { EPOCH, walk } from '../../src/tree/tree.ts';
import { itWith } from '../helpers/requirements.ts';
import { archive, directoryEntry, END, fileEntry, header, pax, stream } from '../helpers/tar-writer.ts';
import { HashStore, treeLines } from '../helpers/trees.ts';

function read(bytes: Uint8Array, options: Partial<TarOptions> = {}, sizes: number[] = []) {
  return readTar(stream(bytes, sizes), { inlineLimit: 64, store: new HashStore(), where: 'archive', ...options });
}

async function lines(bytes: Uint8Array, options: Partial<TarOptions> = {}): Promise<string[]> {
  return treeLines(await read(bytes, options), ['mtime']);
}

async function failure(bytes: Uint8Array, options: Partial<TarOptions> = {}): Promise<OsupdError> {
  const error = await read(bytes, options).then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(error).toBeInstanceOf(OsupdError);
  return error as OsupdError;
}

const link = (name: string, target: string) => header({ name, type: '1', link: target });
const symlink = (name: string, target: string) => header({ name, type: '2', link: target, mode: 0o777 });

describe('entries become a tree in the order of the archive', () => {
  it('directories that are not named are made', async () => {
    expect(await lines(archive(fileEntry('a/b/c', 'x', { uid: 5 })))).toEqual([
      '/ directory 0755 0:0 links=3',
      '/a directory 0755 0:0 links=3',
      '/a/b directory 0755 0:0 links=2',
      expect.stringMatching(/^\/a\/b\/c file 0644 5:0 links=1 1 /),
    ]);
    expect((await read(archive(fileEntry('a/b', 'x')))).root.mtime).toEqual(EPOCH);
  });

  it('a directory named after what is in it keeps that', async () => {
    expect(await lines(archive(fileEntry('d/f', 'x'), directoryEntry('d/', { mode: 0o700, uid: 7 })))).toEqual([
      '/ directory 0755 0:0 links=3',
      '/d directory 0700 7:0 links=2',
      expect.stringContaining('/d/f file'),
    ]);
  });

  it('a later entry replaces an earlier one of another type', async () => {
    const replaced = archive(
      fileEntry('a', 'x'),
      directoryEntry('a'),
      directoryEntry('b'),
      fileEntry('b/f'),
      symlink('b', 'a'),
    );
    expect(await lines(replaced)).toEqual([
      '/ directory 0755 0:0 links=3',
      '/a directory 0755 0:0 links=2',
      '/b symlink 0777 0:0 links=1 -> a',
    ]);
  });

  it('the first name of a file is its own, all others are links, whatever their order', async () => {
    expect(
      await lines(archive(fileEntry('m', 'x'), link('z', 'm'), link('a', 'z'), symlink('s', 'm'), link('t', 's'))),
    ).toEqual([
      '/ directory 0755 0:0 links=2',
      expect.stringMatching(/^\/a file 0644 0:0 links=3 1 /),
      '/m = /a',
      '/s symlink 0777 0:0 links=2 -> m',
      '/t = /s',
      '/z = /a',
    ]);
  });

  it('a link keeps the file whose name it had when the name is replaced', async () => {
    const result = await lines(archive(fileEntry('f', 'one'), link('h', 'f'), fileEntry('f', 'two!')));
    expect(result[1]).toMatch(/^\/f file 0644 0:0 links=1 4 /);
    expect(result[2]).toMatch(/^\/h file 0644 0:0 links=1 3 /);
  });

  it('an old archive marks directories by a slash', async () => {
    expect(await lines(archive(header({ name: 'd/', magic: '', mode: 0o755 })))).toContain(
      '/d directory 0755 0:0 links=2',
    );
    expect((await failure(archive(fileEntry('d/', 'data')))).message).toContain('a directory cannot have content');
  });

  it('devices, fifos and numbers at their limits', async () => {
    const [, device] = await lines(archive(header({ name: 'c', type: '3', device: [0xfff, 0xfffff] })));
    expect(device).toContain(`rdev=${0xffffffff}`);
    expect((await failure(archive(header({ name: 'c', type: '3', device: [0x1000, 0] })))).message).toContain(
      'no device 4096:0',
    );
    const owners = await read(archive(pax({ uid: '4294967295' }), fileEntry('f')));
    expect([...walk(owners)][1]?.entry).toMatchObject({ uid: 4294967295 });
  });

  it('sparse files are expanded', async () => {
    const sparse = pax({
      'GNU.sparse.name': 'f',
      'GNU.sparse.size': '100000',
      'GNU.sparse.numblocks': '2',
      'GNU.sparse.map': '10,3,99998,2',
    });
    const result = await read(archive(sparse, fileEntry('ignored', 'abcde')), { inlineLimit: 1 << 20 });
    const entry = [...walk(result)][1]?.entry;
    const content = Buffer.alloc(100000);
    content.write('abc', 10);
    content.write('de', 99998);
    expect(entry).toMatchObject({ type: 'file', size: 100000 });
    expect(entry?.type === 'file' && Buffer.compare(entry.content ?? Buffer.of(), content)).toBe(0);
  });
});

describe('what would leave its place is refused', () => {
  it.each([
    ['a name with ..', archive(fileEntry('a/../../x')), "name '..'"],
    [
      'a way through a symlink',
      archive(symlink('l', '/etc'), fileEntry('l/passwd')),
      'leads through "l", which is a symlink',
    ],
    [
      'a way through a link to a symlink',
      archive(symlink('l', '/'), link('m', 'l'), fileEntry('m/x')),
      'which is a symlink',
    ],
    ['a way through a file', archive(fileEntry('f'), fileEntry('f/x')), 'leads through "f", which is a file'],
    [
      'a link through a symlink',
      archive(directoryEntry('d'), fileEntry('d/f'), symlink('l', 'd'), link('h', 'l/f')),
      'not there',
    ],
    ['a link to a directory', archive(directoryEntry('d'), link('h', 'd')), 'which is a directory'],
    ['a link out of the tree', archive(fileEntry('f'), link('h', '../f')), "name '..'"],
    ['a root that is a file', archive(fileEntry('./', 'x')), 'content'],
    ['a root that is a symlink', archive(symlink('/', 'x')), 'the root is not a directory'],
    ['a symlink without a target', archive(symlink('l', '')), 'without a target'],
    [
      'a name longer than a file system has',
      archive(pax({ path: 'n'.repeat(256) }), fileEntry('x')),
      'longer than 255',
    ],
  ])('%s', async (_, bytes, message) => {
    const error = await failure(bytes);
    expect(error).toMatchObject({ code: 'invalid-tar', where: 'archive' });
    expect(error.message).toContain(message);
  });

  it('directories nested without end', async () => {
    const error = await failure(archive(pax({ path: 'd/'.repeat(3000) }), directoryEntry('x')));
    expect(error).toMatchObject({ code: 'limit-exceeded' });
  });

  it('a map that asks for more zeros than any file system has', async () => {
    const sparse = pax({ 'GNU.sparse.size': String(2 ** 40), 'GNU.sparse.numblocks': '0', 'GNU.sparse.map': '' });
    expect(await failure(archive(sparse, fileEntry('f')))).toMatchObject({ code: 'limit-exceeded' });
  });
});

describe('options', () => {
  const system = archive(
    directoryEntry('./', { uid: 1000, gid: 1000 }),
    directoryEntry('dev'),
    header({ name: 'dev/sda', type: '4', device: [8, 0] }),
    header({ name: 'dev/gone', type: '3' }),
    pax({ 'SCHILY.xattr.user.a': '1', 'SCHILY.xattr.security.b': '2', mtime: '1800000000.5' }),
    fileEntry('etc/conf', 'x'.repeat(100), { uid: 1005, gid: 100 }),
    fileEntry('usr/share/doc/x/README', 'x'.repeat(200)),
  );
  const paths = async (options: Partial<TarOptions>) => [...walk(await read(system, options))].map(({ path }) => path);

  it('exclude leaves out what matches and all below it, and does not read it', async () => {
    const store = new HashStore();
    expect(await paths({ exclude: ['usr/share/doc', '/dev/*'], store })).toEqual(['/', '/dev', '/etc', '/etc/conf']);
    expect(store.bytes).toBe(100);
  });

  it('a link to an excluded file is refused, for its content is not there', async () => {
    const bytes = archive(fileEntry('a', 'x'), link('b', 'a'));
    expect((await failure(bytes, { exclude: ['a'] })).message).toBe('"b": is a hard link to "a", which is not there');
  });

  it('clampMtime makes later times earlier, and no others', async () => {
    const clamped = await read(system, { clampMtime: { seconds: 1_750_000_000n, nanoseconds: 5 } });
    const times = [...walk(clamped)].map(({ path, entry }) => [path, entry.type !== 'hardlink' && entry.mtime.seconds]);
    expect(times).toContainEqual(['/etc/conf', 1_750_000_000n]);
    expect(times).toContainEqual(['/dev', 1_700_000_000n]);
    expect(times).toContainEqual(['/etc', 0n]);
  });

  it('owners are mapped by ranges, or all to one', async () => {
    const owner = async (options: Partial<TarOptions>) =>
      (await lines(system, options)).filter((line) => /^\/(etc\/conf)? /.test(line)).map((line) => line.split(' ')[3]);
    expect(await owner({})).toEqual(['1000:1000', '1005:100']);
    expect(await owner({ owners: { uids: [{ from: 1000, to: 0, count: 10 }], gids: [] } })).toEqual([
      '0:1000',
      '5:100',
    ]);
    expect(await owner({ owners: { uids: 0, gids: 9 } })).toEqual(['0:9', '0:9']);
  });

  it('xattrs and devices can be left out; whiteouts stay', async () => {
    const xattrs = async (options: Partial<TarOptions>) =>
      (await lines(system, options))
        .find((line) => line.startsWith('/etc/conf'))
        ?.split(' ')
        .slice(7);
    expect(await xattrs({})).toEqual(['security.b=32', 'user.a=31']);
    expect(await xattrs({ xattrs: 'user' })).toEqual(['user.a=31']);
    expect(await xattrs({ xattrs: 'none' })).toEqual([]);
    expect(await paths({ skipDevices: true, exclude: ['usr', 'etc'] })).toEqual(['/', '/dev', '/dev/gone']);
  });

  it('contents above the limit go to the store, in pieces', async () => {
    const store = new HashStore();
    const result = await read(archive(fileEntry('big', Buffer.alloc(65)), fileEntry('small', Buffer.alloc(64))), {
      store,
    });
    expect([...walk(result)].slice(1).map(({ entry }) => entry.type === 'file' && entry.content?.length)).toEqual([
      undefined,
      64,
    ]);
    expect(store).toMatchObject({ bytes: 65, count: 1 });
  });

  it('a signal stops the reading, and an error of the store comes out as it is', async () => {
    expect(await failure(system, { signal: AbortSignal.abort() })).toMatchObject({ code: 'interrupted' });
    const controller = new AbortController();
    const stopping = {
      put: async (content: AsyncIterable<Uint8Array>) => {
        for await (const _ of content) controller.abort();
        return '0'.repeat(64) as Digest;
      },
    };
    const large = archive(fileEntry('large', Buffer.alloc(100_000)));
    await expect(read(large, { signal: controller.signal, store: stopping }, [5000])).rejects.toMatchObject({
      code: 'interrupted',
    });
    const full = new OsupdError('no-space', 'full');
    const store = { put: () => Promise.reject(full) };
    await expect(read(system, { store })).rejects.toBe(full);
  });

  it('an error of the stream comes out as it is, and the stream is closed at the end and on an error', async () => {
    let closed = 0;
    async function* broken(bytes: Uint8Array, fails: boolean) {
      try {
        yield bytes;
        if (fails) throw new OsupdError('network', 'gone');
      } finally {
        closed++;
      }
    }
    const options = { inlineLimit: 64, store: new HashStore(), where: 'archive' };
    await expect(readTar(broken(system.subarray(0, 3000), true), options)).rejects.toMatchObject({ code: 'network' });
    await expect(readTar(broken(gzipSync(system).subarray(0, 100), true), options)).rejects.toMatchObject({
      code: 'network',
    });
    await expect(readTar(broken(archive(symlink('', '')), false), options)).rejects.toMatchObject({
      code: 'invalid-tar',
    });
    await readTar(broken(system, false), options);
    expect(closed).toBe(4);
  });
});

describe('compression is told by the first bytes', () => {
  const bytes = archive(
    fileEntry('a', 'x'.repeat(5000)),
    fileEntry('b', Buffer.from(Array.from({ length: 9000 }, (_, i) => (i * i) & 255))),
  );
  const compressed: [string, () => Buffer][] = [
    ['gzip', () => gzipSync(bytes)],
    ['gzip in several members', () => Buffer.concat([gzipSync(bytes.subarray(0, 777)), gzipSync(bytes.subarray(777))])],
    ['zstd', () => zstdCompressSync(bytes)],
    [
      'zstd in several frames',
      () => Buffer.concat([zstdCompressSync(bytes.subarray(0, 777)), zstdCompressSync(bytes.subarray(777))]),
    ],
    [
      'zstd with a frame to skip first',
      () => Buffer.concat([toBytes('\x53*M\x18\x02\0\0\0ab'), zstdCompressSync(bytes)]),
    ],
  ];
  const xz = (data: Buffer, ...options: string[]) => execFileSync('xz', ['-c', ...options], { input: data });
  const xzForms: [string, () => Buffer][] = [
    ['xz', () => xz(bytes)],
    ['xz in blocks', () => xz(bytes, '--block-size=4096')],
    [
      'xz in several streams with padding',
      () => Buffer.concat([xz(bytes.subarray(0, 777)), Buffer.alloc(8), xz(bytes.subarray(777))]),
    ],
  ];

  async function check(make: () => Buffer): Promise<void> {
    const data = make();
    const plain = await lines(bytes);
    expect(await lines(data)).toEqual(plain);
    expect(treeLines(await read(data, {}, [1, 2, 300]), ['mtime'])).toEqual(plain);
    // Cut off anywhere, changed anywhere: the archive inside is cut off, or the decoder or the checksum tells.
    for (const length of [12, data.length >> 1, data.length - 9])
      expect(await failure(data.subarray(0, length))).toMatchObject({ code: 'invalid-tar', where: 'archive' });
  }

  for (const [name, make] of compressed) it(name, () => check(make));
  for (const [name, make] of xzForms) itWith(['xz'], name, () => check(make));

  itWith(['xz'], 'xz with a dictionary beyond what memory allows is refused', async () => {
    const error = await failure(xz(bytes, '--lzma2=dict=1536MiB'));
    expect(error.message).toBe('its xz data cannot be read: a dictionary of more than 64 MiB');
  });

  itWith(['xz'], 'an xz stream that is given up does not stop the next', async () => {
    for (let round = 0; round < 3; round++)
      await failure(xz(archive(symlink('l', 'x'), fileEntry('l/f'), fileEntry('big', Buffer.alloc(1 << 20)))));
    expect(await lines(xz(bytes))).toHaveLength(3);
  });

  it.each([
    ['bzip2', 'BZh91AY&SY'],
    ['lzip', 'LZIP\x01'],
    ['lz4', '\x04\x22\x4d\x18'],
  ])('%s is named and refused', async (name, magic) => {
    expect((await failure(toBytes(magic.padEnd(600)))).message).toContain(`compressed with ${name}`);
  });

  it('a compressed archive that expands a thousandfold takes no memory', async () => {
    const size = 2 ** 29;
    const huge = async function* () {
      yield header({ name: 'zeros', size });
      for (let left = size; left > 0; left -= 1 << 20) yield Buffer.alloc(1 << 20);
      yield END;
    };
    const bomb = await collect(Readable.from(huge()).pipe(createZstdCompress()));
    expect(bomb.length).toBeLessThan(size / 1000);
    const before = process.memoryUsage().rss;
    const store = new HashStore();
    await read(bomb, { store });
    expect(store.bytes).toBe(size);
    expect(process.memoryUsage().rss - before).toBeLessThan(150 << 20);
  });
});

it('an archive reads the same in every division into pieces', async () => {
  const bytes = archive(
    pax({ path: `${'long/'.repeat(40)}name`, 'SCHILY.xattr.user.x': 'y'.repeat(700) }),
    fileEntry('x', 'z'.repeat(1500)),
    directoryEntry('d'),
    fileEntry('d/f', 'f'.repeat(513)),
  );
  const whole = await lines(bytes);
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 1100 }), { minLength: 1, maxLength: 12 }), async (sizes) => {
      expect(treeLines(await read(bytes, {}, sizes), ['mtime'])).toEqual(whole);
    }),
    { numRuns: 50 },
  );
});

it('what follows the end of an archive is not passed over', async () => {
  const one = fileEntry('a');
  expect(await lines(Buffer.concat([one, END, Buffer.alloc(100_000)]))).toHaveLength(2);
  expect((await failure(Buffer.concat([one, END, one, END]))).message).toContain('something follows the end');
  expect((await failure(Buffer.concat([one, Buffer.alloc(512), one, END]))).message).toContain(
    'something follows the end',
  );
});
