import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fromText } from '../../src/core/bytes.ts';
import { readXattrs, setXattr } from '../../src/sys/xattr.ts';
import { mountFileSystem, unmountFileSystems } from '../helpers/file-systems.ts';
import { enterMountNamespace } from '../helpers/mount-namespace.ts';
import { describeWith, itWith } from '../helpers/requirements.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';

const directory = temporaryDirectory();

function newFile(name: string): string {
  const path = join(directory, name);
  writeFileSync(path, '');
  return fromText(path);
}

describe('extended attributes', () => {
  it('what is set is read again, values of any bytes and names that are not UTF-8 among them', () => {
    const path = newFile('any');
    const value = Uint8Array.from({ length: 256 }, (_, byte) => byte);
    setXattr(path, 'user.bytes', value);
    setXattr(path, 'user.empty', new Uint8Array());
    setXattr(path, 'user.\xff\xfe', Uint8Array.of(1));
    setXattr(path, 'user.bytes', value.subarray(1));
    expect([...readXattrs(path)].sort()).toEqual([
      ['user.bytes', value.subarray(1)],
      ['user.empty', new Uint8Array()],
      ['user.\xff\xfe', Uint8Array.of(1)],
    ]);
  });

  it('a file without attributes, and one of a file system that has none, give an empty map', () => {
    expect(readXattrs(newFile('plain')).size).toBe(0);
    expect(readXattrs('/proc/self/maps').size).toBe(0);
  });

  it('a value that a caller keeps does not change with the next read', () => {
    const [one, two] = [newFile('one'), newFile('two')];
    setXattr(one, 'user.a', Uint8Array.of(1, 2, 3));
    setXattr(two, 'user.a', Uint8Array.of(9, 9, 9));
    const kept = readXattrs(one);
    readXattrs(two);
    expect(kept.get('user.a')).toEqual(Uint8Array.of(1, 2, 3));
  });

  it('a path that is not UTF-8 is a path like any other', () => {
    const path = `${fromText(join(directory, 'latin-'))}\xe9`;
    writeFileSync(Buffer.from(path, 'latin1'), '');
    setXattr(path, 'user.a', Uint8Array.of(7));
    expect(readXattrs(path).get('user.a')).toEqual(Uint8Array.of(7));
  });

  it('a missing file is not-found, with its place and the errno', () => {
    expect(() => readXattrs('/nowhere/at/all')).toThrow(
      expect.objectContaining({ code: 'not-found', where: '/nowhere/at/all', facts: { errno: 'ENOENT' } }),
    );
  });

  itWith(['root'], 'a symlink has its own attributes, not those of its target', () => {
    const target = newFile('target');
    setXattr(target, 'trusted.which', Uint8Array.of(1));
    const link = join(directory, 'link');
    symlinkSync('target', link);
    setXattr(fromText(link), 'trusted.which', Uint8Array.of(2));
    expect(readXattrs(fromText(link)).get('trusted.which')).toEqual(Uint8Array.of(2));
    expect(readXattrs(target).get('trusted.which')).toEqual(Uint8Array.of(1));
  });

  itWith(['root', 'setcap', 'setfacl'], 'capabilities and ACLs are read as the kernel keeps them', () => {
    const path = join(directory, 'program');
    writeFileSync(path, '');
    execFileSync('setcap', ['cap_net_raw=ep', path]);
    execFileSync('setfacl', ['-m', 'u:1234:rwx', path]);
    const found = readXattrs(fromText(path));
    expect(Buffer.from(found.get('security.capability') ?? []).toString('hex')).toBe(
      '0100000200200000000000000000000000000000',
    );
    expect(found.get('system.posix_acl_access')?.subarray(0, 4)).toEqual(Uint8Array.of(2, 0, 0, 0));
  });
});

describeWith(['root', 'mkfs.xfs'], 'extended attributes larger than the first buffer', () => {
  let large = '';

  beforeAll(() => {
    enterMountNamespace();
    large = mountFileSystem(directory, 'xfs');
  });

  afterAll(unmountFileSystems);

  it('values up to 64 KiB are read whole', () => {
    const path = fromText(join(large, 'value'));
    writeFileSync(path, '');
    const value = new Uint8Array(65536).fill(0x61);
    setXattr(path, 'user.large', value);
    setXattr(path, 'user.small', Uint8Array.of(1));
    expect(readXattrs(path).get('user.large')).toEqual(value);
    expect(readXattrs(path).get('user.small')).toEqual(Uint8Array.of(1));
  });

  it('more names than Linux lists are a limit that says so', () => {
    const path = fromText(join(large, 'names'));
    mkdirSync(path);
    const name = (index: number) => `user.${'n'.repeat(240)}${String(index).padStart(4, '0')}`;
    for (let index = 0; index < 250; index++) setXattr(path, name(index), new Uint8Array());
    expect(readXattrs(path).size).toBe(250);
    for (let index = 250; index < 300; index++) setXattr(path, name(index), new Uint8Array());
    expect(() => readXattrs(path)).toThrow(expect.objectContaining({ code: 'limit-exceeded', where: path }));
  });
});
