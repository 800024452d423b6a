import { describe, expect, it } from 'vitest';
import { extensionOf, withoutVersions } from '../../src/delta/names.ts';

/** Names of different releases that are one file. */
const SAME: readonly (readonly string[])[] = [
  ['/lib/modules/6.1.0-50-cloud-amd64/kernel/fs/nfs.ko', '/lib/modules/6.1.0-56-cloud-amd64/kernel/fs/nfs.ko'],
  ['/boot/vmlinuz-6.1.0-56-cloud-amd64', '/boot/vmlinuz-6.12.3-cloud-amd64'],
  ['libssl.so.3', 'libssl.so.1.1', 'libssl.so'],
  ['libfoo-1.2.3.so', 'libfoo-2.so', 'libfoo.so'],
  ['libc-2.31.so', 'libc.so.6'],
  ['libpython3.9.so.1.0', 'libpython3.11.so.1.0'],
  ['libdns-9.18.49-1~deb12u1-Debian.so', 'libdns-9.18.49-1~deb12u3-Debian.so'],
  ['/usr/lib/python3.9/os.py', '/usr/lib/python3.11/os.py'],
  ['os.cpython-39.pyc', 'os.cpython-311.pyc'],
  ['/usr/bin/python3', '/usr/bin/python3.11'],
  ['/usr/share/perl/5.32.1/strict.pm', '/usr/share/perl/5.36.0/strict.pm'],
  ['/usr/lib/postgresql/13/bin/psql', '/usr/lib/postgresql/15/bin/psql'],
  ['php7.4', 'php8.2'],
  ['x86_64-linux-gnu-gcc-10', 'x86_64-linux-gnu-gcc-12'],
  ['openssl-1.1.1n.tar', 'openssl-3.0.15.tar'],
  ['thing-2.0rc3.txt', 'thing-2.0.txt'],
  ['app.3f2a9c.js', 'app.77b01d.js'],
  ['bundle-0123456789abcdef.css', 'bundle-fedcba9876543210.css'],
  ['index-DiwrgTda.js', 'index-B0_qrXyZ.js'],
  ['main.8f3b2c1d.chunk.js', 'main.00ff2c1d.chunk.js'],
  ['/usr/lib/debug/.build-id/ab/cdef0123456789.debug', '/usr/lib/debug/.build-id/ab/0123456789cdef.debug'],
];

/** Names of different files. */
const DIFFERENT: readonly (readonly [string, string])[] = [
  ['libssl.so.3', 'libcrypto.so.3'],
  ['/usr/lib/python3.11/os.py', '/usr/lib/python3.11/io.py'],
  ['index-function.js', 'index-template.js'],
  ['README', 'feedface'],
  ['ls.1.gz', 'ls.1'],
  ['/opt/15/a', '/opt/a'],
];

describe('a name without versions and hashes', () => {
  for (const names of SAME) {
    it(`is the same for ${names.join(', ')}`, () => {
      expect(new Set(names.map(withoutVersions)).size).toBe(1);
    });
  }

  for (const [a, b] of DIFFERENT) {
    it(`differs for ${a} and ${b}`, () => {
      expect(withoutVersions(a)).not.toBe(withoutVersions(b));
    });
  }

  it('is never empty where a part of the path was not', () => {
    expect(withoutVersions('/15/3.11/a0b1c2d3')).toMatch(/^\/[^/]+\/[^/]+\/[^/]+$/);
  });

  it('takes no time that grows faster than the name', () => {
    for (const part of ['1.', 'a1', '0a', '1-a', '.so', 'A_b', '~1'])
      expect(withoutVersions(part.repeat(2000)).length).toBeLessThanOrEqual(2 * 2000 * part.length);
  });
});

it('an extension is the last part of a name that is no number', () => {
  expect(['/a/libssl.so.1.1', 'ls.1.gz', 'a.TXT', 'name', '.profile', 'b.5'].map(extensionOf)).toEqual([
    'so',
    'gz',
    'txt',
    '',
    'profile',
    '',
  ]);
});
