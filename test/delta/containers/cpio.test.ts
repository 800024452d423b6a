/** Archives of cpio itself, and bytes that only look like one. */
import { execFileSync } from 'node:child_process';
import { cpSync, linkSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { beforeAll, expect, it } from 'vitest';
import { beginsCpio, cpioEnd, cpioFiles } from '../../../src/delta/containers/cpio.ts';
import { mutate, randomNumbers } from '../../helpers/mutate.ts';
import { describeWith } from '../../helpers/requirements.ts';
import { temporaryDirectory } from '../../helpers/temporary.ts';

const SCALE = Number(process.env.OSUPD_TEST_SCALE ?? 1);
const root = temporaryDirectory();

function archiveOf(directory: string, format = 'newc'): Buffer {
  const list = execFileSync('find', ['.'], { cwd: directory });
  return execFileSync('cpio', ['-o', '-H', format, '--quiet'], { cwd: directory, input: list, maxBuffer: 1 << 28 });
}

describeWith(['cpio'], 'cpio archives', () => {
  const contents = new Map<string, Buffer>();
  let archive: Buffer;

  beforeAll(() => {
    mkdirSync(join(root, 'a/usr/lib'), { recursive: true });
    for (const size of [0, 1, 2, 3, 4, 5, 4096, 100_001]) {
      const name = `usr/lib/of-${'x'.repeat(size % 5)}-${size}`;
      writeFileSync(join(root, 'a', name), Buffer.alloc(size, name));
      if (size > 0) contents.set(name, Buffer.alloc(size, name));
    }
    symlinkSync('lib', join(root, 'a/usr/link'));
    linkSync(join(root, 'a/usr/lib/of-x-4096'), join(root, 'a/usr/further'));
    archive = archiveOf(join(root, 'a'));
  });

  it('have their files found, by name and place', () => {
    expect(beginsCpio(archive, 0)).toBe(true);
    const found = [...cpioFiles(archive)];
    for (const { name, offset, size } of found) {
      const own = contents.get(name) ?? contents.get('usr/lib/of-x-4096')!;
      expect(Buffer.compare(archive.subarray(offset, offset + size), own)).toBe(0);
    }
    // Of hard links one name has the content.
    expect(found.length).toBe(contents.size);
  });

  it('have an end, and others may follow behind zeros', () => {
    const end = cpioEnd(archive, 0)!;
    expect(archive.subarray(end).every((byte) => byte === 0)).toBe(true);
    const joined = Buffer.concat([archive, Buffer.alloc(333 * 4), archiveOf(join(root, 'a'), 'crc')]);
    expect([...cpioFiles(joined)].length).toBe(2 * contents.size);
    expect(cpioEnd(joined, 0)).toBe(end);
    expect([...cpioFiles(Buffer.concat([archive, Buffer.from('\x1f\x8b')]))].length).toBe(contents.size);
  });

  it('that are cut off have no end', () => {
    const end = cpioEnd(archive, 0)!;
    for (const length of [0, 1, 109, 110, 4000, end - 200])
      expect(cpioEnd(archive.subarray(0, length), 0)).toBeUndefined();
  });

  it('of other formats are none', () => {
    cpSync(join(root, 'a/usr/lib'), join(root, 'b'), { recursive: true });
    for (const format of ['odc', 'bin', 'ustar']) expect(beginsCpio(archiveOf(join(root, 'b'), format), 0)).toBe(false);
  });

  it('that are damaged give no file outside of them', () => {
    const random = randomNumbers(5);
    const headers = Buffer.concat([archive.subarray(0, 3000), archive.subarray(-2000)]);
    for (let run = 0; run < 2000 * SCALE; run++) {
      const damaged = mutate(headers, random);
      for (const { offset, size } of cpioFiles(damaged)) expect(offset + size).toBeLessThanOrEqual(damaged.length);
      const end = cpioEnd(damaged, 0);
      if (end !== undefined) expect(end).toBeLessThanOrEqual(damaged.length);
    }
  });

  it('are not seen in bytes of this program', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => [...cpioFiles(bytes)].length === 0));
    expect([...cpioFiles(readFileSync(process.execPath).subarray(0, 1 << 20))]).toEqual([]);
  });
});
