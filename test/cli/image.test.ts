import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { LAUNCHER, osupd, runOsupd } from '../helpers/osupd.ts';
import { itWith } from '../helpers/requirements.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';
import { vectorDump, vectorImages } from '../image/vectors.ts';

const directory = temporaryDirectory();
const NAME = 'corner-whiteout-in-root';
const [V0, V01, V1] = vectorImages(NAME).map(({ vector }) => vector);
const dump = join(directory, 'tree.dump');
const image = join(directory, 'tree.img');
writeFileSync(dump, vectorDump(NAME));

describe('osupd image write', () => {
  it('writes the image and prints its digest', () => {
    expect(osupd(['image', 'write', '--from-dump', dump, image, '--print-digest'])).toBe(`${V01?.fsverity}\n`);
    expect(osupd(['digest', image])).toBe(`${V01?.fsverity}  ${image}\n`);
    expect(readFileSync(image).length).toBe(V01?.bytes);
  });

  it.each([
    [['--min-version', '0', '--max-version', '0'], V0],
    [['--min-version', '0'], V0],
    [['--max-version', '1'], V01],
    [['--min-version=1'], V1],
  ])('%j', (options, vector) => {
    const out = join(directory, 'version.img');
    expect(osupd(['image', 'write', '--from-dump', dump, out, '--print-digest', ...options])).toBe(
      `${vector?.fsverity}\n`,
    );
  });

  it('reads standard input and writes standard output', () => {
    const { status, stdout } = spawnSync(process.execPath, [LAUNCHER, 'image', 'write', '--from-dump', '-', '-'], {
      input: vectorDump(NAME),
    });
    expect(status).toBe(0);
    expect(stdout.equals(readFileSync(image))).toBe(true);
  });

  it('writes through a symbolic link', () => {
    symlinkSync('target.img', join(directory, 'link.img'));
    writeFileSync(join(directory, 'target.img'), 'old');
    osupd(['image', 'write', '--from-dump', dump, join(directory, 'link.img')]);
    expect(readFileSync(join(directory, 'target.img')).equals(readFileSync(image))).toBe(true);
  });

  it('refuses a bad dump with its rule and leaves no file', () => {
    const before = readdirSync(directory);
    const out = join(directory, 'bad.img');
    const { status, stdout, stderr } = runOsupd(['image', 'write', '--from-dump', '-', out, '--json'], {
      input: vectorDump('corner-xattr-total-32768'),
    });
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(JSON.parse(stderr)).toMatchObject({
      error: {
        code: 'invalid-dump',
        where: 'standard input',
        facts: { rule: 'xattrs of one inode too large', line: 2 },
      },
    });
    expect(existsSync(out)).toBe(false);
    expect(readdirSync(directory)).toEqual(before);
  });

  it('leaves the old file where the new one cannot be written', () => {
    const { status, stderr } = runOsupd(['image', 'write', '--from-dump', join(directory, 'absent'), image]);
    expect(status).toBe(5);
    expect(stderr).toMatch(/^osupd: image write: .*absent: /);
    expect(readFileSync(image).length).toBe(V01?.bytes);
  });

  itWith(['script'], 'does not write to a terminal', () => {
    const command = `${process.execPath} ${LAUNCHER} image write --from-dump ${dump} -`;
    const { status, stdout } = spawnSync('script', ['-qec', command, '/dev/null'], { encoding: 'utf8' });
    expect(status).toBe(2);
    expect(stdout).toContain('binary output is not written to a terminal');
  });
});

describe('osupd image dump, ls, info, explain, diff', () => {
  it('dump prints the dump, exact or as composefs-info does', () => {
    const text = osupd(['image', 'dump', image]);
    expect(text.split('\n')).toHaveLength(3);
    const exact = osupd(['image', 'dump', '--exact', '-'], { input: readFileSync(image) });
    const again = join(directory, 'again.img');
    osupd(['image', 'write', '--from-dump', '-', again], { input: exact });
    expect(readFileSync(again).equals(readFileSync(image))).toBe(true);
  });

  it('ls lists names', () => {
    expect(osupd(['image', 'ls', image])).toBe('/w\n');
    expect(JSON.parse(osupd(['image', 'ls', image, '--json']))).toMatchObject({
      entries: [{ path: '/' }, { path: '/w' }],
    });
  });

  it('info counts', () => {
    expect(osupd(['image', 'info', image])).toContain(`digest           ${V01?.fsverity}\nformat version   1\n`);
    expect(JSON.parse(osupd(['image', 'info', image, '--json']))).toMatchObject({
      digest: V01?.fsverity,
      version: 1,
      inodes: V01?.inodes,
      tree: { whiteouts: 1 },
    });
    expect(osupd(['image', 'info', '--objects', image])).toBe('');
  });

  it('explain starts with the header', () => {
    expect(osupd(['image', 'explain', image])).toMatch(/^composefs header\n {9}0 {6}4 {2}magic {20}0xd078629a\n/);
  });

  it('diff lists what is added, modified and deleted', () => {
    const other = join(directory, 'other.img');
    osupd(['image', 'write', '--from-dump', '-', other], {
      input: '/ 0 40700 2 0 0 0 0.0 - - -\n/a 0 100644 1 0 0 0 0.0 - - -\n',
    });
    expect(osupd(['image', 'diff', image, other])).toBe('M /\nA /a\nD /w\n');
    expect(osupd(['image', 'diff', image, image])).toBe('');
  });
});

describe('osupd image fsck', () => {
  it('says nothing of a good image', () => {
    expect(osupd(['image', 'fsck', image])).toBe('');
  });

  it('lists problems and exits with 10', () => {
    const bad = join(directory, 'bad-bits.img');
    const bytes = readFileSync(image);
    bytes.writeUInt8(1, 500);
    writeFileSync(bad, bytes);
    const { status, stdout, stderr } = runOsupd(['image', 'fsck', bad]);
    expect(status).toBe(10);
    expect(stdout).toMatch(/bad-bits\.img: not-canonical at byte 500: /);
    expect(stderr).toMatch(/^osupd: image fsck: .*: 1 problem; /);
  });

  it('compares a digest that is given or that is the name of the file', () => {
    const named = join(directory, 'ab'.repeat(32));
    writeFileSync(named, readFileSync(image));
    expect(runOsupd(['image', 'fsck', named]).stdout).toContain('wrong-digest');
    expect(runOsupd(['image', 'fsck', image, '--digest', String(V01?.fsverity)]).status).toBe(0);
    expect(runOsupd(['image', 'fsck', image, '--digest', 'xy']).status).toBe(2);
  });
});

describe('osupd digest', () => {
  it('prints digests of files and of standard input', () => {
    const hello = join(directory, 'hello');
    writeFileSync(hello, 'hello world\n');
    const digest = '37061ef2ac4c21bec68489b56138c5780306a4ad7fe6676236ecdf2c9027cd92';
    expect(osupd(['digest', hello, '-'], { input: 'hello world\n' })).toBe(`${digest}  ${hello}\n${digest}  -\n`);
    expect(JSON.parse(osupd(['digest', '--json', hello]))).toEqual({ files: [{ file: hello, digest, bytes: 12 }] });
  });

  it('a file that is not there is an error', () => {
    expect(runOsupd(['digest', join(directory, 'absent')])).toMatchObject({ status: 5, stdout: '' });
  });
});
