import { describe, expect, it } from 'vitest';
import { asDigest } from '../../src/core/digest.ts';
import { type NamedObject, NameIndex } from '../../src/delta/name-index.ts';

function named(path: string, number: number, size = 1000): NamedObject {
  return { path, size, digest: asDigest(number.toString(16).padStart(64, '0')) };
}

function bestFor(path: string, old: readonly string[], size = 1000): string[] {
  const index = new NameIndex(old.map((name, number) => named(name, number)));
  return index.candidates(path, size).map((object) => object.path);
}

describe('candidates by name', () => {
  it('are first the same path, then the same but for versions, then the same name elsewhere, then that but for versions', () => {
    const old = [
      '/opt/b/libx.so.1',
      '/usr/lib/libx.so.2',
      '/opt/b/libx.so.3',
      '/usr/lib/libx.so.3',
      '/usr/lib/liby.so.3',
    ];
    expect(bestFor('/usr/lib/libx.so.3', old)).toEqual([
      '/usr/lib/libx.so.3',
      '/usr/lib/libx.so.2',
      '/opt/b/libx.so.3',
      '/opt/b/libx.so.1',
    ]);
  });

  it('are those in the most similar directory', () => {
    const old = ['/a/b/one/README', '/z/two/README', '/a/c/two/README', '/a/b/three/README'];
    expect(bestFor('/a/b/two/README', old)[0]).toBe('/a/c/two/README');
  });

  it('have the same number in their name, also where hundreds differ in it alone', () => {
    const old = Array.from({ length: 900 }, (_, number) => `/lib/modules/6.1.0-50/kernel/fs/nls/nls_cp${number}.ko`);
    for (const number of [0, 437, 899])
      expect(bestFor(`/lib/modules/6.1.0-56/kernel/fs/nls/nls_cp${number}.ko`, old)[0]).toBe(old[number]);
  });

  it('of equally similar names are nearer in size', () => {
    const index = new NameIndex([
      named('/a/x-1.dat', 1, 10),
      named('/a/x-3.dat', 2, 5000),
      named('/a/x-4.dat', 3, 900),
    ]);
    expect(index.candidates('/a/x-2.dat', 1000)[0]?.path).toBe('/a/x-4.dat');
  });

  it('are there once for an object with many names, and a few at most', () => {
    const index = new NameIndex([...Array(9).keys()].map((number) => named(`/${number}/copyright`, 7)));
    expect(index.candidates('/x/copyright', 10)).toHaveLength(1);
    const many = new NameIndex([...Array(900).keys()].map((number) => named(`/${number}/copyright`, number)));
    expect(many.candidates('/x/copyright', 10)).toHaveLength(4);
  });

  it('are none where no name is like it', () => {
    expect(bestFor('/usr/bin/new', ['/usr/bin/old', '/usr/bin/renew', '/new/bin'])).toEqual([]);
    expect(bestFor('/usr/bin/new', [])).toEqual([]);
  });
});
