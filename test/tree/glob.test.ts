import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { fromText } from '../../src/core/bytes.ts';
import { compileGlobs } from '../../src/tree/glob.ts';
import { itWith } from '../helpers/requirements.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';

const matches = (pattern: string, path: string) => compileGlobs([pattern])(fromText(path));

it.each([
  ['usr/share/doc', 'usr/share/doc/bash/README', true],
  ['/usr/share/doc/', 'usr/share/doc', true],
  ['usr/share/doc', 'usr/share/docs', false],
  ['share', 'usr/share', false],
  ['*', '.hidden', true],
  ['var/cache/*', 'var/cache', false],
  ['var/cache/*', 'var/cache/apt/pkgcache.bin', true],
  ['etc/*.conf', 'etc/a/b.conf', false],
  ['**/*.pyc', 'usr/lib/python3/x.pyc', true],
  ['**/*.pyc', 'x.pyc', true],
  ['usr/**/man', 'usr/man', true],
  ['usr/**/man', 'usr/share/local/man/man1', true],
  ['usr/**', 'usr', false],
  ['usr/**', 'usr/a', true],
  ['a**b', 'a/b', false],
  ['a**b', 'axxb', true],
  ['dev/tty[0-9]', 'dev/tty7', true],
  ['dev/tty[!0-9]', 'dev/tty7', false],
  ['dev/tty[!0-9]', 'dev/ttyS', true],
  ['a[!b]c', 'a/c', false],
  ['[]x]', ']', true],
  ['a[b', 'a[b', true],
  ['a\\*', 'a*', true],
  ['a\\*', 'ab', false],
  ['a.c', 'abc', false],
  ['caf\u00e9/*', 'caf\u00e9/x', true],
  ['a\nb', 'a\nb', true],
])('%j and %j: %s', (pattern, path, expected) => {
  expect(matches(pattern, path)).toBe(expected);
});

it('any pattern may match', () => {
  const excluded = compileGlobs(['a', 'b/c']);
  expect(['a', 'b', 'b/c', 'c'].map(excluded)).toEqual([true, false, true, false]);
  expect(compileGlobs([])('')).toBe(false);
});

it('a pattern that names nothing is refused', () => {
  for (const pattern of ['', '/', './']) expect(() => compileGlobs([pattern])).toThrow('names nothing');
});

const directory = temporaryDirectory();

itWith(['tar'], 'all but ** is what GNU tar makes of anchored patterns', () => {
  const names = ['a', 'b', '.a', 'ab', 'a.b', 'ba'];
  for (const name of names)
    for (const inner of names) {
      mkdirSync(join(directory, name), { recursive: true });
      writeFileSync(join(directory, name, inner), '');
    }
  const all = execFileSync('tar', ['-cf', '-', ...names], { cwd: directory });
  const listing = (patterns: string[]) =>
    execFileSync(
      'tar',
      [
        '-tf',
        '-',
        '--anchored',
        '--wildcards',
        '--no-wildcards-match-slash',
        ...patterns.map((pattern) => `--exclude=${pattern}`),
      ],
      {
        input: all,
        env: { ...process.env, LC_ALL: 'C' },
      },
    )
      .toString()
      .split('\n')
      .map((line) => line.replace(/\/$/, ''))
      .filter((line) => line !== '');
  const everything = listing([]);
  const piece = fc.constantFrom('a', 'b', '.', '*', '?', '[ab]', '[!a]', '[.b]');
  const component = fc
    .array(piece, { minLength: 1, maxLength: 3 })
    .map((pieces) => pieces.join(''))
    .filter((text) => !text.includes('**') && text !== '.' && text !== '..');
  const pattern = fc.array(component, { minLength: 1, maxLength: 2 }).map((components) => components.join('/'));
  fc.assert(
    fc.property(fc.array(pattern, { minLength: 1, maxLength: 3 }), (patterns) => {
      const excluded = compileGlobs(patterns);
      expect(everything.filter((path) => !excluded(path))).toEqual(listing(patterns));
    }),
    { numRuns: 100 },
  );
});
