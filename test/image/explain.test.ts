import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { explainImage, explainRanges } from '../../src/image/explain.ts';
import { encodeImage } from '../../src/image/write.ts';
import { parseDump } from '../../src/tree/parse-dump.ts';
import { randomTree } from '../helpers/random-tree.ts';
import { vectorDump } from './vectors.ts';

function encode(name: string): Buffer {
  return encodeImage(parseDump(vectorDump(name)));
}

/** Ranges must be all bytes, each once, in order. */
function expectWhole(image: Buffer): void {
  let end = 0;
  for (const { at, bytes, section, name } of explainRanges(image)) {
    expect(at, `${section}: ${name}`).toBe(end);
    expect(bytes).toBeGreaterThan(0);
    expect(name).not.toBe('not zero as it should be');
    end = at + bytes;
  }
  expect(end).toBe(image.length);
}

describe('explainImage', () => {
  it.each([
    'special',
    'corner-chunk-arrays',
    'corner-symlink-lengths',
    'corner-inline-sizes',
    'corner-xattr-shared-order',
    'all-104',
  ])('explains every byte of %s', (name) => expectWhole(encode(name)));

  it('explains every byte of random images', () => {
    fc.assert(
      fc.property(randomTree(), (tree) => expectWhole(encodeImage(tree))),
      { numRuns: 20 },
    );
  });

  it.each(['corner-objects-bare', 'corner-hardlink-deep-primary', 'corner-whiteouts-nested', 'corner-acl-both'])(
    'reads as in test/golden/explain/%s.txt',
    async (name) => {
      const text = [...explainImage(encode(name))].join('');
      const golden = resolve(import.meta.dirname, `../golden/explain/${name}.txt`);
      await expect(withoutHidden(text)).toMatchFileSnapshot(golden);
    },
  );

  it('explains the example of docs/formats/image.md as that page does', () => {
    const [dump = '', text = ''] = examples('image.md');
    const explained = [...explainImage(encodeImage(parseDump(Buffer.from(dump))))].join('');
    expect(text).toMatch(/^inode 257 /);
    expect(explained).toContain(text);
  });

  it('of a damaged image explains what can be read, and says what is wrong', () => {
    const image = encode('corner-hardlink-deep-primary');
    image.writeUInt16LE(0, 1152 + 32 * 40 + 4);
    const lines = [...explainImage(image)];
    expect(lines).toContain('EROFS superblock\n');
    expect(lines).toContain('inode 0 /\n');
    expect(lines.at(-1)).toMatch(/^damaged: an inode of unknown type \(byte 2436 in \/\)\n$/);
  });

  it('of no image at all says so', () => {
    expect([...explainImage(Buffer.from('hello'))]).toEqual([
      'damaged: the file is not a number of whole blocks (byte 5)\n',
    ]);
  });
});

/** The texts in the example at the end of a page. */
function examples(page: string): string[] {
  const text = readFileSync(resolve(import.meta.dirname, '../../docs/formats', page), 'utf8');
  const example = text.slice(text.indexOf('## Example'));
  return [...example.matchAll(/^```\n(.*?)^```$/gms)].map((match) => match[1] as string);
}

/** Leaves out the inodes and entries of most hidden names. */
function withoutHidden(text: string): string {
  const isHidden = (name: string) => /^[0-9a-f]{2}$/.test(name) && name !== '00';
  return text
    .split(/(?<=\n)(?=\S)/)
    .filter((section) => !isHidden(/^inode \d+ \/(.*)/.exec(section)?.[1] ?? ''))
    .join('')
    .split('\n')
    .filter((line) => !isHidden(/^ +\d+ +12 {2}entry +(.*): character/.exec(line)?.[1] ?? ''))
    .join('\n');
}
