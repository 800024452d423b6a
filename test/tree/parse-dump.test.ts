import { describe, expect, it } from 'vitest';
import { OsupdError } from '../../src/core/errors.ts';
import { MAX_TREE_DEPTH } from '../../src/core/limits.ts';
import { parseDump } from '../../src/tree/parse-dump.ts';
import type { DirectoryNode, Entry, TreeNode } from '../../src/tree/tree.ts';

const ROOT = '/ 0 40755 2 0 0 0 0.0 - - -\n';
const DIGEST = 'ab'.repeat(32);

function parse(text: string, strict = false) {
  return parseDump(Buffer.from(text, 'latin1'), { strict, where: 'test.dump' });
}

/** The entry of a dump that has the given line behind the root's. */
function parseLine(line: string, strict = false): Entry {
  const [entry] = parse(`${ROOT}${line}\n`, strict).root.children.values();
  if (entry === undefined) throw new Error('no entry');
  return entry;
}

function failure(text: string, strict = false): OsupdError {
  try {
    parse(text, strict);
  } catch (error) {
    if (error instanceof OsupdError) return error;
    throw error;
  }
  throw new Error('not refused');
}

describe('the fields of a line', () => {
  it('of a file with an object', () => {
    const line = `/f 4097 104755 3 1000 65536 0 17.25 ab/cd - ${DIGEST} user.a=b`;
    expect(parseLine(line)).toEqual({
      type: 'file',
      mode: 0o4755,
      nlink: 3,
      uid: 1000,
      gid: 65536,
      mtime: { seconds: 17n, nanoseconds: 25 },
      size: 4097,
      payload: 'ab/cd',
      digest: DIGEST,
      xattrs: new Map([['user.a', Buffer.from('b')]]),
    });
  });

  it('of a file with its content', () => {
    expect(parseLine('/f 3 100644 1 0 0 0 0.0 - a\\x00\\n -')).toMatchObject({
      size: 3,
      content: Buffer.from('a\0\n'),
    });
  });

  it('payload and digest of an empty file mean nothing', () => {
    const file = parseLine(`/f 0 100644 1 0 0 0 0.0 ab/cd - ${DIGEST}`);
    expect(file).not.toHaveProperty('payload');
    expect(file).not.toHaveProperty('digest');
  });

  it('of a symlink, whose size is its target', () => {
    expect(parseLine('/l 99 120777 1 0 0 0 0.0 to\\x20here - -')).toMatchObject({ type: 'symlink', target: 'to here' });
  });

  it('of devices and pipes', () => {
    expect(parseLine('/c 0 20600 1 0 0 259 0.0 - - -')).toMatchObject({ type: 'character', rdev: 259 });
    expect(parseLine('/b 7 60600 1 0 0 4294967295 0.0 - - -')).toMatchObject({
      type: 'block',
      rdev: 2 ** 32 - 1,
      size: 7,
    });
    expect(parseLine('/p 0 10600 1 0 0 3 0.0 - - -')).not.toHaveProperty('rdev');
    expect(parseLine('/s 0 140600 1 0 0 0 0.0 - - -')).toMatchObject({ type: 'socket' });
  });

  it.each([
    ['-1.0', -1n],
    [`${2n ** 64n - 1n}.0`, -1n],
    [`${2n ** 63n}.0`, -(2n ** 63n)],
    [`${2n ** 63n - 1n}.0`, 2n ** 63n - 1n],
    ['9007199254740993.0', 9007199254740993n],
    ['-9007199254740993.0', -9007199254740993n],
  ])('mtime %s is %s seconds', (text, seconds) => {
    expect((parseLine(`/f 0 100644 1 0 0 0 ${text} - - -`) as TreeNode).mtime.seconds).toBe(seconds);
  });

  it('every escape', () => {
    const line = '/\\x41\\x4a\\x4A\\\\\\n\\r\\t\\xfF 0 100644 1 0 0 0 0.0 - - - user.\\x3d\\x20=\\x3d=-\\x00 user.e=';
    const { children } = parse(`${ROOT}${line}\n`).root;
    expect([...children.keys()]).toEqual(['AJJ\\\n\r\t\xff']);
    expect([...(children.values().next().value as TreeNode).xattrs]).toEqual([
      ['user.= ', Buffer.from('==-\0')],
      ['user.e', Buffer.from('')],
    ]);
  });

  it('fields at the end may be left out, and the last newline', () => {
    expect(parse(`${ROOT}/f 0 100644 1 0 0 0 0.0`).root.children.size).toBe(1);
  });

  it('an escaped dash is a dash, a plain one is nothing', () => {
    expect(parseLine('/l 1 120777 1 0 0 0 0.0 \\x2d - -')).toMatchObject({ target: '-' });
    expect(parseLine('/f 1 100644 1 0 0 0 0.0 - \\x2d -')).toMatchObject({ content: Buffer.from('-') });
  });

  it('of two xattrs with one key the last one counts', () => {
    expect([...(parseLine('/f 0 100644 1 0 0 0 0.0 - - - user.a=1 user.b=2 user.a=3') as TreeNode).xattrs]).toEqual([
      ['user.a', Buffer.from('3')],
      ['user.b', Buffer.from('2')],
    ]);
  });

  it('doubled slashes count as one', () => {
    const { children } = parse(`${ROOT}//d 0 40755 2 0 0 0 0.0 - - -\n/d//f 0 100644 1 0 0 0 0.0 - - -\n`).root;
    expect([...(children.get('d') as DirectoryNode).children.keys()]).toEqual(['f']);
  });
});

describe('hard links', () => {
  const FILE = '/z 0 100644 2 0 0 0 0.0 - - -\n';

  it('may come before their targets and point to each other', () => {
    const links = '/a 0 @100644 1 0 0 0 0.0 /b - -\n/b 0 @100644 1 0 0 0 0.0 /z - -\n';
    const { children } = parse(ROOT + links + FILE).root;
    const target = children.get('z');
    expect(children.get('a')).toEqual({ type: 'hardlink', target });
    expect((children.get('b') as { target: unknown }).target).toBe(target);
  });

  it('a chain of 100,000 is followed once', () => {
    const lines = Array.from({ length: 100_000 }, (_, index) => `/${index} 0 @100644 1 0 0 0 0.0 /${index + 1} - -\n`);
    const { children } = parse(`${ROOT}${lines.join('')}/100000 0 100644 1 0 0 0 0.0 - - -\n`).root;
    expect((children.get('0') as { target: unknown }).target).toBe(children.get('100000'));
  });

  it.each([
    ['hard links in a circle', '/a 0 @100644 1 0 0 0 0.0 /a - -\n'],
    ['hard links in a circle', '/a 0 @100644 1 0 0 0 0.0 /b - -\n/b 0 @100644 1 0 0 0 0.0 /a - -\n'],
    ['hard link target is absent', '/a 0 @100644 1 0 0 0 0.0 /b - -\n'],
    ['hard link to a directory', '/a 0 @100644 1 0 0 0 0.0 / - -\n'],
    ['hard link to a directory', '/d 0 40755 2 0 0 0 0.0 - - -\n/a 0 @40755 1 0 0 0 0.0 /d - -\n'],
    ['hard link without a target', '/a 0 @100644 1 0 0 0 0.0 - - -\n'],
  ])('%s is refused', (rule, lines) => {
    expect(failure(ROOT + lines).facts).toMatchObject({ rule });
  });
});

describe('what is refused', () => {
  const file = (
    fields: Partial<
      Record<
        'path' | 'size' | 'mode' | 'nlink' | 'uid' | 'gid' | 'rdev' | 'mtime' | 'payload' | 'content' | 'digest',
        string
      >
    >,
  ) => {
    const f = {
      path: '/f',
      size: '0',
      mode: '100644',
      nlink: '1',
      uid: '0',
      gid: '0',
      rdev: '0',
      mtime: '0.0',
      ...fields,
    };
    return `${f.path} ${f.size} ${f.mode} ${f.nlink} ${f.uid} ${f.gid} ${f.rdev} ${f.mtime} ${f.payload ?? '-'} ${f.content ?? '-'} ${f.digest ?? '-'}`;
  };

  it.each<[string, string | undefined, string]>([
    ['empty path', 'PATH', ' 0 100644 1 0 0 0 0.0 - - -'],
    ['path is not absolute', 'PATH', file({ path: 'f' })],
    ['empty name', 'PATH', file({ path: '/f/' })],
    ['empty name', 'PATH', file({ path: '//' })],
    ["name '..'", 'PATH', file({ path: '/..' })],
    ['name holds a NUL', 'PATH', file({ path: '/a\\x00' })],
    ['name holds a slash', 'PATH', file({ path: '/a\\x2fb' })],
    ['escape without a character', 'PATH', file({ path: '/a\\' })],
    ['hex escape without hex digits', 'PATH', file({ path: '/a\\xg0' })],
    ['size is not a number', 'SIZE', file({ size: '-1' })],
    ['size is not a number', 'SIZE', file({ size: '' })],
    ['size does not fit in 64 bits', 'SIZE', file({ size: '18446744073709551616' })],
    ['file larger than the format can hold', 'SIZE', file({ size: '9007199254740993' })],
    ['mode is not octal', 'MODE', file({ mode: '' })],
    ['mode is not octal', 'MODE', file({ mode: '777777777777' })],
    ['mode without a file type', 'MODE', file({ mode: '644' })],
    ['mode without a file type', 'MODE', file({ mode: '30644' })],
    ['nlink is not a number', 'NLINK', file({ nlink: '+1' })],
    ['uid does not fit in 32 bits', 'UID', file({ uid: '4294967296' })],
    ['gid is not a number', 'GID', file({ uid: '1', gid: 'x' })],
    ['rdev is not a number', 'RDEV', file({ uid: '1', rdev: 'x' })],
    ['mtime is not a number', 'MTIME', file({ mtime: '.0' })],
    ['mtime is not a number', 'MTIME', file({ mtime: '1.-5' })],
    ['mtime does not fit in 64 bits', 'MTIME', file({ mtime: '18446744073709551616.0' })],
    ['mtime does not fit in 64 bits', 'MTIME', file({ mtime: '-9223372036854775809.0' })],
    ['mtime has more than 999999999 nanoseconds', 'MTIME', file({ mtime: '0.1000000000' })],
    ['payload of 4096 bytes or more', 'PAYLOAD', file({ size: '1', payload: 'p'.repeat(4096) })],
    ['payload holds a NUL', 'PAYLOAD', file({ size: '1', payload: 'p\\x00' })],
    ['symlink target holds a NUL', 'PAYLOAD', file({ mode: '120777', payload: 'p\\x00' })],
    ['content length is not the size', 'CONTENT', file({ size: '2', content: 'a' })],
    ['digest is not 64 hex digits', 'DIGEST', file({ size: '2', digest: `${'ab'.repeat(31)}a` })],
    ['digest is not 64 hex digits', 'DIGEST', '/f 2 100644 1 0 0 0 0.0 - -'],
    ["xattr without '='", undefined, `${file({})} `.concat(' user.a=b')],
    ['xattr key longer than 255', undefined, `${file({})} ${'k'.repeat(256)}=`],
    ['xattr key holds a NUL', undefined, `${file({})} user.a\\x00=b`],
    ['xattrs of one line longer than 65535 bytes of text', undefined, `${file({})} user.a=${'v'.repeat(65529)}`],
    ['NUL byte in a line', undefined, `${file({})} user.a=\0`],
  ])('%s, field %s', (rule, field, line) => {
    const error = failure(`${ROOT}${line}\n`);
    expect(error.code).toBe('invalid-dump');
    expect(error.where).toBe('test.dump');
    expect(error.facts).toEqual({ rule, line: 2, ...(field === undefined ? {} : { field }) });
    expect(error.message).toMatch(/^line 2\b.*: /);
  });

  it('an empty line', () => {
    expect(failure(`${ROOT}\n`).facts).toMatchObject({ rule: 'empty path', line: 2 });
  });

  it('an entry below a hard link or a file', () => {
    const lines = '/f 0 100644 1 0 0 0 0.0 - - -\n/f/a 0 100644 1 0 0 0 0.0 - - -\n';
    expect(failure(ROOT + lines).facts).toMatchObject({ rule: 'parent of an entry is not a directory', line: 3 });
  });

  it('more levels of directories than the limit', () => {
    let text = ROOT;
    for (let depth = 1, path = ''; depth <= MAX_TREE_DEPTH + 1; depth++) {
      path += '/d';
      text += `${path} 0 40755 2 0 0 0 0.0 - - -\n`;
    }
    expect(failure(text)).toMatchObject({ code: 'limit-exceeded', facts: { limit: 'MAX_TREE_DEPTH' } });
  });
});

describe('strict', () => {
  it.each([
    ['device number on something that is no device', '/p 0 10600 1 0 0 3 0.0 - - -'],
    ["symlink's size is not its target's length", '/l 2 120777 1 0 0 0 0.0 t - -'],
    ['symlink with content', '/l 1 120777 1 0 0 0 0.0 t c -'],
  ])('%s is refused, which is let pass otherwise', (rule, line) => {
    expect(failure(`${ROOT}${line}\n`, true).facts).toMatchObject({ rule });
    expect(parseLine(line)).toBeDefined();
  });

  it('a last line without a newline is refused', () => {
    expect(failure(ROOT.trimEnd(), true).facts).toMatchObject({ rule: 'last line without a newline' });
  });
});
