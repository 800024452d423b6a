import { expect, it } from 'vitest';
import { kindOf } from '../../src/delta/kinds.ts';

const ELF = Buffer.from('7f454c4602010100', 'hex');
const GZIP = Buffer.from('1f8b080000000000', 'hex');
const TEXT = Buffer.from('#!/bin/sh');

it.each([
  ['/usr/lib/modules/6.1.0-50-amd64/kernel/fs/nfs/nfs.ko', ELF, 'module'],
  ['/usr/lib/modules/6.1.0-50-amd64/kernel/fs/nfs/nfs.ko.xz', Buffer.from('fd377a585a000004', 'hex'), 'compressed'],
  ['/usr/lib/libssl.so.3', ELF, 'library'],
  ['/usr/lib/x86_64-linux-gnu/libc.so', TEXT, 'other'],
  ['/usr/bin/openssl', ELF, 'program'],
  ['/usr/lib/openssh/sftp-server', ELF, 'program'],
  ['/usr/bin/ldd', TEXT, 'other'],
  ['/usr/share/man/man1/ls.1.gz', GZIP, 'compressed'],
  ['/usr/share/icons/a', Buffer.from('89504e470d0a1a0a', 'hex'), 'compressed'],
  ['/usr/share/fonts/a.woff2', Buffer.from('too new to be known'), 'compressed'],
  ['/boot/vmlinuz-6.1.0-50-amd64', Buffer.from('MZ'), 'kernel'],
  ['/boot/initrd.img-6.1.0-50-amd64', Buffer.alloc(8), 'initrd'],
  ['/boot/initramfs-6.1.0.img', GZIP, 'initrd'],
  ['/usr/share/initramfs-tools/init', TEXT, 'other'],
  ['/usr/lib/python3/dist-packages/PIL/Image.py', TEXT, 'other'],
  ['/usr/share/empty', new Uint8Array(0), 'other'],
])('%s is known by its first bytes and its name', (path, head, kind) => {
  expect(kindOf(path, head)).toBe(kind);
});
