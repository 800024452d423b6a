import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromBytes, toBytes } from '../../src/core/bytes.ts';
import { OsupdError } from '../../src/core/errors.ts';
import { parseAclText } from '../../src/tree/tar-acl.ts';
import { parseHeader, plainHeader } from '../../src/tree/tar-header.ts';
import { parsePaxRecords, paxTime, paxXattrs } from '../../src/tree/tar-pax.ts';
import { header, record } from '../helpers/tar-writer.ts';

const refuse = (what: string) => new OsupdError('invalid-tar', what);

function base256(value: bigint, length: number): Buffer {
  const bits = BigInt.asUintN(length * 8 - 1, value) | (1n << BigInt(length * 8 - 1));
  return Buffer.from(bits.toString(16).padStart(length * 2, '0'), 'hex');
}

function pax(...records: Buffer[]): Map<string, string> {
  const result = new Map<string, string>();
  parsePaxRecords(Buffer.concat(records), result, refuse);
  return result;
}

describe('tar headers', () => {
  it('read octal and base-256 numbers of every size a number can have', () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), fc.maxSafeNat(), fc.nat(0o7777777), (mtime, size, uid) => {
        const block = header({
          name: 'f',
          uid,
          raw: [
            [124, base256(BigInt(size), 12)],
            [136, base256(BigInt(mtime), 12)],
          ],
        });
        expect(parseHeader(block, refuse)).toMatchObject({ uid, size, mtime });
        expect(parseHeader(plainHeader(block, size), refuse)).toMatchObject({ size, type: '0' });
      }),
    );
  });

  it('take numbers that end with the field, a space or NUL, and empty fields as 0', () => {
    const mode = (text: string) =>
      parseHeader(header({ name: 'f', raw: [[100, Buffer.from(text, 'latin1')]] }), refuse).mode;
    expect(mode('00000644')).toBe(0o644);
    expect(mode('   644 \0')).toBe(0o644);
    expect(mode('644\0rest')).toBe(0o644);
    expect(mode('\0\0\0\0\0\0\0\0')).toBe(0);
    for (const wrong of ['648\0\0\0\0\0', '0x1ff\0\0\0', '-644\0\0\0\0'])
      expect(() => mode(wrong)).toThrow('the mode in a header is not a number');
  });

  it('are refused with any byte changed, but for what changes the sum alike', () => {
    const block = header({ name: 'name', size: 5, mode: 0o755, link: 'x' });
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 511 }), fc.integer({ min: 1, max: 255 }), (offset, change) => {
        const wrong = Buffer.from(block);
        wrong[offset] = ((wrong[offset] as number) + change) & 255;
        // The checksum ends before its last byte, which writers leave open.
        fc.pre(offset !== 155 && offset !== 154);
        expect(() => parseHeader(wrong, refuse)).toThrow(OsupdError);
      }),
    );
  });

  it('may have a checksum of signed bytes, as some old writers made it', () => {
    const block = header({ name: Buffer.from([0xe9, 0xff]) });
    const sum = Number.parseInt(block.toString('latin1', 148, 154), 8) - 512;
    block.write(sum.toString(8).padStart(6, '0'), 148, 'latin1');
    expect(parseHeader(block, refuse).type).toBe('0');
  });
});

describe('pax records', () => {
  const key = fc
    .string({ minLength: 1, maxLength: 40 })
    .filter((text) => !/[=\0]/.test(text) && !text.startsWith('GNU.sparse'));

  it('keep every byte of their values', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(key, fc.uint8Array({ maxLength: 200 }))), (records) => {
        const read = pax(...records.map(([name, value]) => record(name, Buffer.from(value))));
        expect(read).toEqual(
          new Map(records.map(([name, value]) => [fromBytes(Buffer.from(name)), fromBytes(Buffer.from(value))])),
        );
      }),
    );
  });

  it('are refused when cut anywhere inside', () => {
    const whole = Buffer.concat([record('path', 'some/where'), record('SCHILY.xattr.user.a', 'value')]);
    const borders = [0, record('path', 'some/where').length];
    for (let length = 0; length < whole.length; length++)
      if (!borders.includes(length))
        expect(() => pax(whole.subarray(0, length)), `cut at ${length}`).toThrow('record whose length is not right');
  });

  it('never end in anything but records or our error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        try {
          pax(Buffer.from(bytes));
        } catch (error) {
          expect(error).toBeInstanceOf(OsupdError);
        }
      }),
    );
  });

  it('give times to the nanosecond, before the epoch too', () => {
    const time = (text: string) => paxTime(new Map([['mtime', text]]), 'mtime', refuse);
    expect(time('1234567890.1234567891')).toEqual({ seconds: 1234567890n, nanoseconds: 123456789 });
    expect(time('5.')).toEqual({ seconds: 5n, nanoseconds: 0 });
    expect(time('-1.5')).toEqual({ seconds: -2n, nanoseconds: 500_000_000 });
    expect(time('-0.25')).toEqual({ seconds: -1n, nanoseconds: 750_000_000 });
    expect(time('-3')).toEqual({ seconds: -3n, nanoseconds: 0 });
    expect(time('')).toBeUndefined();
    for (const wrong of ['1e9', '.5', '1.2.3', ' 1', '0x10', `${'9'.repeat(19)}`])
      expect(() => time(wrong)).toThrow('not a time');
  });

  it('give xattrs in the keys of GNU tar, libarchive and SELinux, the direct one first', () => {
    const xattrs = paxXattrs(
      pax(
        record('SCHILY.xattr.user.a%3Db%25c', 'gnu'),
        record('LIBARCHIVE.xattr.user.sp%20ace', Buffer.from('bsd').toString('base64')),
        record('LIBARCHIVE.xattr.user.both', Buffer.from('bsd').toString('base64')),
        record('SCHILY.xattr.user.both', 'schily'),
        record('RHT.security.selinux', 'system_u:object_r:etc_t:s0'),
      ),
      refuse,
    );
    expect([...xattrs].map(([name, value]) => [name, fromBytes(value)]).sort()).toEqual([
      ['security.selinux', 'system_u:object_r:etc_t:s0\0'],
      ['user.a=b%c', 'gnu'],
      ['user.both', 'schily'],
      ['user.sp ace', 'bsd'],
    ]);
  });
});

describe('ACLs as text', () => {
  it('become what the kernel stores', () => {
    const value = parseAclText('user::rw-\nuser:1234:rwx\ngroup::r--\ngroup:55:r--\nmask::rwx\nother::r--\n', refuse);
    expect(Buffer.from(value ?? []).toString('hex')).toBe(
      [
        '02000000',
        '01000600ffffffff',
        '02000700d2040000',
        '04000400ffffffff',
        '0800040037000000',
        '10000700ffffffff',
        '20000400ffffffff',
      ].join(''),
    );
  });

  it('are told by star with the number in a fourth field', () => {
    const value = parseAclText('user::rwx,user:joe:r-x:7,group::r-x,mask::r-x,other::---', refuse);
    expect(Buffer.from(value ?? []).readUInt32LE(4 + 8 + 4)).toBe(7);
  });

  it('that say no more than the mode are no xattr', () => {
    expect(parseAclText('user::rwx\ngroup::r-x\nother::r-x', refuse)).toBeUndefined();
  });

  it.each([
    'user:lp:r-x\nuser::rwx\ngroup::r-x\nmask::rwx\nother::r-x',
    'user::rwz',
    'nobody::rwx',
    'mask:5:rwx',
    'user',
  ])('%j is refused', (text) => {
    expect(() => parseAclText(text, refuse)).toThrow(OsupdError);
  });
});

it('the records of the test writer are those of the reader', () => {
  expect(toBytes([...pax(record('k', 'v'.repeat(95)))][0]?.[1] ?? '')).toHaveLength(95);
});
