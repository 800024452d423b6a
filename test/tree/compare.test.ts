import { expect, it } from 'vitest';
import { asDigest } from '../../src/core/digest.ts';
import { compareTrees } from '../../src/tree/compare.ts';
import { type Entry, type HardLink, nodeOf, type Tree } from '../../src/tree/tree.ts';
import { common, directory, file } from '../helpers/trees.ts';

function tree(children: Record<string, Entry>): Tree {
  return { root: directory(children) };
}

function summary(before: Tree, after: Tree): string[] {
  return compareTrees(before, after).map((difference) =>
    difference.kind === 'changed'
      ? `${difference.path}: ${difference.fields.join(', ')}`
      : `${difference.kind} ${difference.path}`,
  );
}

const object = (letter: string, size = 100) => {
  const { content, ...rest } = file('');
  return { ...rest, size, digest: asDigest(letter.repeat(64)) };
};

it('equal trees have no difference', () => {
  const make = () => tree({ a: file('x'), d: directory({ b: object('b') }) });
  expect(compareTrees(make(), make())).toEqual([]);
});

it('what was added or removed is listed with all below it, in the order of a walk', () => {
  const before = tree({
    a: directory({ b: file('') }),
    'a.txt': file(''),
    z: directory({ y: directory({ x: file('') }) }),
  });
  const after = tree({ a: directory({ b: file(''), c: file('') }), 'a!': file(''), 'a.txt': file('') });
  expect(summary(before, after)).toEqual(['added /a/c', 'added /a!', 'removed /z', 'removed /z/y', 'removed /z/y/x']);
});

it('each field that differs is named', () => {
  const before = tree({
    content: object('a'),
    device: { type: 'block', ...common(0o600), rdev: 5 },
    inline: file('one'),
    link: { type: 'symlink', ...common(0o777), target: 'a' },
    meta: file(''),
    size: object('a'),
    type: file(''),
    way: file('inline'),
  });
  const xattrs = new Map([['user.x', Buffer.from('1')]]);
  const after = tree({
    content: object('b'),
    device: { type: 'block', ...common(0o600), rdev: 6 },
    inline: file('two'),
    link: { type: 'symlink', ...common(0o777), target: 'b' },
    meta: file('', { mode: 0o4755, gid: 1, mtime: { seconds: 0n, nanoseconds: 1 }, xattrs }),
    size: object('b', 101),
    type: directory({ in: file('') }, { mode: 0o644 }),
    way: { ...object('c'), size: 6 },
  });
  expect(summary(before, after)).toEqual([
    '/content: content',
    '/device: device',
    '/inline: content',
    '/link: target',
    '/meta: mode, owner, mtime, xattrs',
    '/size: size, content',
    '/type: type',
    'added /type/in',
    '/way: content',
  ]);
});

it('names that are one file in one tree alone differ in their links', () => {
  const target = file('x') as HardLink['target'];
  const linked = tree({ a: target, b: { type: 'hardlink', target }, c: { type: 'hardlink', target } });
  const apart = tree({ a: file('x'), b: file('x'), c: file('x') });
  expect(summary(linked, apart)).toEqual(['/b: links', '/c: links']);
  expect(summary(linked, linked)).toEqual([]);
  const [change] = compareTrees(linked, apart);
  expect(change?.kind === 'changed' && nodeOf(change.before)).toBe(target);
});
