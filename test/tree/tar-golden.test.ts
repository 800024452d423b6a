import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { OsupdError } from '../../src/core/errors.ts';
import { decompress } from '../../src/tree/decompress.ts';
import { readTar } from '../../src/tree/read-tar.ts';
import { readTarEntries, type TarEntry } from '../../src/tree/tar-entries.ts';
import { walk } from '../../src/tree/tree.ts';
import { stream } from '../helpers/tar-writer.ts';
import { HashStore, treeLines } from '../helpers/trees.ts';

interface GoldenEntry {
  name: string;
  type: string;
  mode: string;
  uid: number;
  gid: number;
  mtime: string;
  size?: number;
  sha256?: string | null;
  link?: string;
  device?: number[];
  xattrs?: Record<string, string>;
}

interface GoldenCase {
  expect: 'entries' | 'error' | 'open';
  entries: GoldenEntry[] | null;
  why?: string;
  apply?: string;
}

const GOLDEN = new URL('../golden/tar/', import.meta.url);
const cases = Object.entries(
  JSON.parse(readFileSync(new URL('golden.json', GOLDEN), 'utf8')) as Record<string, GoldenCase>,
);

/** Files of tens of gigabytes with a few bytes of data: their content is not compared. */
const HUGE = 2 ** 32;

function bytesOf(name: string): Buffer {
  return readFileSync(new URL(name, GOLDEN));
}

async function readEntries(bytes: Buffer, sizes: readonly number[] = []): Promise<GoldenEntry[]> {
  const refuse = (what: string) => new OsupdError('invalid-tar', what);
  const entries: GoldenEntry[] = [];
  for await (const entry of readTarEntries(decompress(stream(bytes, sizes), refuse), refuse))
    entries.push(await goldenForm(entry));
  return entries;
}

async function goldenForm(entry: TarEntry): Promise<GoldenEntry> {
  const { name, type, mode, uid, gid, mtime, size, link, xattrs } = entry;
  const names: Partial<Record<TarEntry['type'], string>> = { character: 'char' };
  const form: GoldenEntry = {
    name: escaped(type === 'directory' ? name.replace(/(?<=.)\/+$/, '') : name),
    type: names[type] ?? type,
    mode: mode.toString(8),
    uid,
    gid,
    mtime: decimal(mtime.seconds, mtime.nanoseconds),
  };
  if (type === 'file') Object.assign(form, { size, sha256: size < HUGE ? await sha256(entry.content) : null });
  if (link !== '') form.link = escaped(link);
  if (type === 'character' || type === 'block') form.device = [entry.major, entry.minor];
  if (xattrs.size > 0)
    form.xattrs = Object.fromEntries([...xattrs].map(([key, value]) => [key, Buffer.from(value).toString('hex')]));
  return form;
}

async function sha256(content: AsyncIterable<Uint8Array>): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of content) hash.update(chunk);
  return hash.digest('hex');
}

function escaped(bytes: string): string {
  return [...bytes]
    .map((character) => {
      if (character === '\\') return '\\\\';
      const code = character.charCodeAt(0);
      return code < 0x20 || code > 0x7e ? `\\x${code.toString(16).padStart(2, '0')}` : character;
    })
    .join('');
}

/** Decimal text without zeros at its end; the golden has times as they stand in the archive. */
function decimal(seconds: bigint, nanoseconds: number): string {
  const total = seconds * 1_000_000_000n + BigInt(nanoseconds);
  const magnitude = total < 0n ? -total : total;
  const fraction = String(magnitude % 1_000_000_000n)
    .padStart(9, '0')
    .replace(/0+$/, '');
  return `${total < 0n ? '-' : ''}${magnitude / 1_000_000_000n}${fraction === '' ? '' : `.${fraction}`}`;
}

function expected(entry: GoldenEntry): GoldenEntry {
  return { ...entry, mtime: entry.mtime.replace(/(\.\d*?)0+$/, '$1').replace(/\.$/, '') };
}

/** The last outcome of a reading: the lines of the tree, or the error, which must be one of ours that blames the archive. */
async function outcome(reading: Promise<GoldenEntry[] | string[]>): Promise<GoldenEntry[] | string[] | string> {
  try {
    return await reading;
  } catch (error) {
    expect(error).toBeInstanceOf(OsupdError);
    expect((error as OsupdError).code).toMatch(/^(invalid-tar|limit-exceeded)$/);
    return String(error);
  }
}

async function tree(bytes: Buffer, sizes: readonly number[] = []): Promise<string[]> {
  return treeLines(await readTar(stream(bytes, sizes), { inlineLimit: 0, store: new HashStore(), where: 'archive' }));
}

describe('archives of other readers and odd ones', () => {
  it.each(cases.filter(([, { expect }]) => expect === 'entries'))(
    '%s has just the entries that others see',
    async (name, golden) => {
      expect(await readEntries(bytesOf(name))).toEqual(golden.entries?.map(expected));
    },
  );

  it.each(cases.filter(([, { expect }]) => expect === 'error'))('%s is refused', async (name) => {
    await expect(readEntries(bytesOf(name))).rejects.toMatchObject({ name: 'OsupdError', code: 'invalid-tar' });
  });

  it.each(cases.filter(([, { expect }]) => expect === 'open'))('%s is read or refused', async (name) => {
    await outcome(readEntries(bytesOf(name)));
  });

  it.each(cases.map(([name]) => name))('%s is the same however it is cut into pieces', async (name) => {
    const bytes = bytesOf(name);
    const whole = await outcome(readEntries(bytes));
    // A byte at a time takes some microseconds each.
    if (bytes.length <= 16384) expect(await outcome(readEntries(bytes, [1]))).toEqual(whole);
    expect(await outcome(readEntries(bytes, [511, 3, 1024, 513, 7, 4096]))).toEqual(whole);
  });
});

describe('applied as a tree', () => {
  const sparse = new Set(
    cases.filter(([, { entries }]) => entries?.some(({ size = 0 }) => size >= HUGE)).map(([name]) => name),
  );

  it.each(cases.map(([name]) => name).filter((name) => !sparse.has(name)))(
    '%s becomes a tree or is refused',
    async (name) => {
      await outcome(tree(bytesOf(name)));
    },
  );

  it('absolute names are taken relative to the root', async () => {
    expect((await tree(bytesOf('made/absolute.tar'))).map((line) => line.split(' ').slice(0, 3).join(' '))).toEqual([
      '/ directory 0755',
      '/etc directory 0755',
      '/etc/x file 0644',
      '/h = /etc/x',
      '/y file 0644',
    ]);
  });

  it('"./" is the root and doubled slashes are one', async () => {
    const result = await readTar(stream(bytesOf('made/dot-names.tar')), {
      inlineLimit: 64,
      store: new HashStore(),
      where: '',
    });
    expect([...walk(result)].map(({ path }) => path)).toEqual(['/', '/a', '/b', '/b/c', '/b/d']);
    expect(result.root.mtime.seconds).toBe(1_700_000_000n);
  });

  it('the last entry of a name wins', async () => {
    const lines = await tree(bytesOf('made/duplicates.tar'));
    expect(lines[1]).toMatch(/^\/d directory 0755 /);
    expect(lines[2]).toMatch(/^\/f symlink 0644 .* -> t$/);
  });

  it.each([
    ['hardlink-before-target', '"h": is a hard link to "f", which is not there'],
    ['hardlink-to-itself', '"h": is a hard link to "h", which is not there'],
    ['traversal', '"../up": the path ../up cannot be in a tree: name \'..\''],
    ['gnu-base256', '"f": no user or group can have the number 1099511627776'],
    ['name-empty', '"": the name is empty'],
  ])('%s is refused', async (name, message) => {
    await expect(tree(bytesOf(`made/${name}.tar`))).rejects.toMatchObject({
      code: 'invalid-tar',
      message,
      where: 'archive',
    });
  });
});
