import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Digest } from '../../src/core/digest.ts';
import { noProgress } from '../../src/core/progress.ts';
import { chooseGroups } from '../../src/delta/choose-groups.ts';
import type { Group } from '../../src/delta/groups.ts';
import { orderObjects } from '../../src/delta/object-order.ts';
import type { ObjectReader } from '../../src/delta/object-reader.ts';
import { fsverityDigest } from '../../src/objects/fsverity.ts';
import { objectsOf } from '../../src/tree/references.ts';
import type { DirectoryNode, Tree } from '../../src/tree/tree.ts';
import { noise } from '../helpers/pools.ts';
import { common, directory } from '../helpers/trees.ts';

/** Of the program that runs this test: code, tables, texts. */
const program = readFileSync(process.execPath);
const text = ['../../docs/formats/delta.md', '../../README.md', '../../package-lock.json'].map((name) =>
  readFileSync(join(import.meta.dirname, name)),
);

function part(at: number, length: number): Buffer {
  return program.subarray(at << 20, (at << 20) + length);
}

/** A little different all over, as the next version of a program is. */
function nextVersion(bytes: Buffer): Buffer {
  const next = Buffer.from(bytes);
  for (let at = 100; at < next.length; at += 700) next[at] = next[at]! ^ 0x11;
  return next;
}

type Files = Readonly<Record<string, Buffer>>;

/** Contents in memory. */
class Store implements ObjectReader {
  readonly contents = new Map<Digest, Buffer>();

  add(content: Buffer): Digest {
    const digest = fsverityDigest(content);
    this.contents.set(digest, content);
    return digest;
  }

  async openObject(digest: Digest) {
    const content = this.contents.get(digest)!;
    const close = async () => {};
    const read = async (offset: number, length: number) => Buffer.from(content.subarray(offset, offset + length));
    return { digest, path: digest, size: content.length, read, close, [Symbol.asyncDispose]: close };
  }
}

function treeOf(files: Files, store: Store): Tree {
  const root = directory();
  for (const [path, content] of Object.entries(files)) {
    const names = path.split('/');
    const last = names.pop()!;
    let at: DirectoryNode = root;
    for (const name of names) {
      if (!at.children.has(name)) at.children.set(name, directory());
      at = at.children.get(name) as DirectoryNode;
    }
    at.children.set(last, { type: 'file', ...common(0o600), size: content.length, digest: store.add(content) });
  }
  return { root };
}

async function plan(from: Files, to: Files, workers = 1) {
  const store = new Store();
  const [old, next] = [treeOf(from, store), treeOf(to, store)];
  const order = orderObjects([objectsOf(old)], [objectsOf(next)]);
  const groups = await chooseGroups({ from: [old], to: [next], order, store, workers, progress: noProgress });
  return { groups, order };
}

/** For each new file the names of its bases; those of new objects behind a plus. */
async function basesOf(from: Files, to: Files): Promise<Record<string, string[]>> {
  const { groups } = await plan(from, to);
  const names = new Map<Digest, string>();
  for (const [path, content] of Object.entries(to)) names.set(fsverityDigest(content), `+${path}`);
  for (const [path, content] of Object.entries(from)) names.set(fsverityDigest(content), path);
  const members = groups.flatMap(({ members, bases }) =>
    members.map(({ object, bases: own }) => ({ path: object.path, bases: own.map((index) => bases[index]!) })),
  );
  return Object.fromEntries(
    members.map(({ path, bases }) => [path.slice(1), bases.map(({ digest }) => names.get(digest)!).sort()]),
  );
}

/** What else is in the old system. */
const others: Files = Object.fromEntries(
  Array.from({ length: 12 }, (_, number) => [`usr/lib/other-${number}`, part(40 + number, 150_000)]),
);

describe('the origin of a file', () => {
  it('is what has its name, also with another version in it', async () => {
    const from = { ...others, 'lib/6.1.0-50/x.ko': part(2, 90_000), 'lib/libx.so.1': part(3, 90_000) };
    const to = { 'lib/6.1.0-56/x.ko': nextVersion(part(2, 90_000)), 'lib/libx.so.2.3': nextVersion(part(3, 90_000)) };
    expect(await basesOf(from, to)).toEqual({
      'lib/6.1.0-56/x.ko': ['lib/6.1.0-50/x.ko'],
      'lib/libx.so.2.3': ['lib/libx.so.1'],
    });
  });

  it('is found by its content when it was renamed or moved', async () => {
    const from = {
      ...others,
      'bin/before': part(5, 300_000),
      'share/notes.md': text[0]!,
      'share/small': text[1]!.subarray(0, 2000),
    };
    const to = {
      'sbin/after': nextVersion(part(5, 300_000)),
      'doc/manual.txt': Buffer.concat([Buffer.from('A new title\n'), text[0]!]),
      'doc/other': Buffer.concat([text[1]!.subarray(0, 2000), Buffer.from('one more line\n')]),
    };
    expect(await basesOf(from, to)).toEqual({
      'sbin/after': ['bin/before'],
      'doc/manual.txt': ['share/notes.md'],
      'doc/other': ['share/small'],
    });
  });

  it('is the whole of which it was a part, and the parts of which it is made', async () => {
    const parts = [part(6, 200_000), part(7, 90_000), part(8, 400_000)];
    const whole = Buffer.concat(parts);
    expect(
      await basesOf({ ...others, 'a/whole': whole }, { 'b/1': parts[0]!, 'b/2': parts[1]!, 'b/3': parts[2]! }),
    ).toEqual({
      'b/1': ['a/whole'],
      'b/2': ['a/whole'],
      'b/3': ['a/whole'],
    });
    const from = { ...others, 'a/1': parts[0]!, 'a/2': parts[1]!, 'a/3': parts[2]! };
    expect(await basesOf(from, { 'b/whole': whole })).toEqual({ 'b/whole': ['a/1', 'a/2', 'a/3'] });
  });

  it('is more than one file where texts were put together', async () => {
    const from = { ...others, 'doc/format': text[0]!, 'doc/readme': text[1]! };
    const merged = Buffer.concat([text[1]!, Buffer.from('\n---\n'), text[0]!]);
    expect(await basesOf(from, { 'doc/all': merged })).toEqual({ 'doc/all': ['doc/format', 'doc/readme'] });
  });

  it('is another file than that of its name where the name has gone to something else', async () => {
    const from = { ...others, 'bin/a': part(10, 200_000), 'bin/b': part(11, 200_000) };
    const to = { 'bin/a': nextVersion(part(11, 200_000)), 'bin/b': nextVersion(part(10, 200_000)) };
    expect(await basesOf(from, to)).toEqual({ 'bin/a': ['bin/b'], 'bin/b': ['bin/a'] });
  });

  it('does not depend on sizes: a large file that grew from a small one, and a small rest of a large one', async () => {
    const from = { ...others, 'share/a': part(12, 60_000), 'share/b': part(13, 4_000_000) };
    const to = { 'lib/a': Buffer.concat([part(12, 60_000), noise(900_000, 1)]), 'lib/b': part(14, 70_000) };
    expect(await basesOf(from, to)).toEqual({ 'lib/a': ['share/a'], 'lib/b': ['share/b'] });
  });

  it('is another new file where no old one is like it', async () => {
    const to = {
      'lib32/new': part(20, 200_000),
      'lib64/new2': nextVersion(part(20, 200_000)),
      'bin/lonely': part(22, 200_000),
    };
    expect(await basesOf(others, to)).toEqual({
      'bin/lonely': [],
      'lib32/new': [],
      'lib64/new2': ['+lib32/new'],
    });
  });

  it('is nothing for content that is like nothing', async () => {
    expect(await basesOf(others, { 'etc/key': noise(50_000, 9), 'etc/tiny': Buffer.from('a'.repeat(100)) })).toEqual({
      'etc/key': [],
      'etc/tiny': [],
    });
  });
});

describe('the records of a delta', () => {
  /** New and changed files of all sorts, from parts of a few contents. */
  const contents = fc
    .array(fc.tuple(fc.nat(5), fc.nat(40), fc.integer({ min: 1, max: 120_000 })), { minLength: 1, maxLength: 4 })
    .map((pieces) =>
      Buffer.concat(
        pieces.map(([at, offset, length]) =>
          part(30 + at, 1 << 20)
            .subarray(offset * 5000)
            .subarray(0, length),
        ),
      ),
    );
  const names = fc.constantFrom(
    'a.so.1',
    'a.so.2',
    'b/x.ko',
    'c/x.ko',
    'd.txt',
    'e.gz',
    'bin/f',
    'bin/g',
    'h-1.2',
    'h-1.3',
  );
  const systems = fc.dictionary(names, contents, { maxKeys: 8 });

  it('hold each new object once, come behind what they are based on, and depend on no other number', async () => {
    await fc.assert(
      fc.asyncProperty(systems, systems, async (from, to) => {
        const { groups, order } = await plan(from, to);
        expectSound(groups, order);
        expect(await plan(from, to, 2)).toEqual({ groups, order });
      }),
      { numRuns: 12 * Number(process.env.OSUPD_TEST_SCALE ?? 1) },
    );
  });

  it('are made for hundreds of new objects that are alike without chains of them', async () => {
    const to = Object.fromEntries(
      Array.from({ length: 200 }, (_, number) => [
        `x/${number}`,
        Buffer.concat([part(25, 1 << 20).subarray(number * 100, number * 100 + 60_000), noise(500, number)]),
      ]),
    );
    const { groups, order } = await plan({}, to);
    expectSound(groups, order);
    expect(groups.some(({ bases }) => bases.length > 0)).toBe(true);
  });
});

function expectSound(groups: readonly Group[], { old, fresh }: ReturnType<typeof orderObjects>): void {
  const members = groups.flatMap((group) => group.members.map(({ object }) => object.number));
  expect([...members].sort((a, b) => a - b)).toEqual([...fresh.keys()]);
  const there = new Set(old.map(({ digest }) => digest));
  const independent = new Set<Digest>();
  for (const { members, bases } of groups) {
    for (const { digest } of bases) expect(there.has(digest)).toBe(true);
    for (const { object, bases: own } of members) {
      for (const index of own) expect(bases[index]).toBeDefined();
      if (own.every((index) => !independent.has(bases[index]!.digest))) independent.add(object.digest);
      else expect(own.every((index) => independent.has(bases[index]!.digest))).toBe(true);
    }
    for (const { object } of members) there.add(object.digest);
  }
}
