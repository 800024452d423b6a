import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { OsupdError } from '../../src/core/errors.ts';
import type { FormatVersion } from '../../src/image/format.ts';
import { decodeImage } from '../../src/image/read.ts';
import { encodeImage } from '../../src/image/write.ts';
import { fsverityDigest } from '../../src/objects/fsverity.ts';
import { formatDump } from '../../src/tree/dump.ts';
import { parseDump } from '../../src/tree/parse-dump.ts';
import type { Tree } from '../../src/tree/tree.ts';
import { BAD_DUMPS, GOOD_NAMES, vectorDump, vectorImages } from './vectors.ts';

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function dumpOf(tree: Tree, exact = false): Buffer {
  return Buffer.from([...formatDump(tree, { exact })].join(''), 'latin1');
}

function versionOf(image: Buffer): FormatVersion {
  return image.readUInt32LE(12) === 0 ? 0 : 1;
}

function encodeAgain(tree: Tree, like: Buffer): Buffer {
  return encodeImage(tree, { minVersion: versionOf(like), maxVersion: versionOf(like) });
}

/** What composefs-info adds to one dump; see test/golden/composefs/README.md. */
function withStrayBytes(dump: Buffer): Buffer {
  return Buffer.from(dump.toString('latin1').replace('a\\x20b\\\\\\xff=-', 'a\\x20b\\\\\\xff=-\\xff\\xff'), 'latin1');
}

/**
 * A dump of composefs makes the first name of the whiteout its primary one; then another directory is marked to hold a whiteout, and the next
 * dump has those marks too.
 */
const MOVED_MARKS = 'corner-whiteout-hard-linked';

describe.each(GOOD_NAMES)('%s', (name) => {
  const dump = vectorDump(name);
  const images = vectorImages(name);
  // Most trees give the same image for version 0 and for the range: reading it once is enough.
  const distinct = images.filter(({ range }) => range !== 'v1' && (range !== 'v0' || images[1]?.vector.version === 1));

  it.each(images)('is the image of mkcomposefs, versions $range', ({ options, vector }) => {
    const image = encodeImage(parseDump(dump), options);
    expect(image.length).toBe(vector.bytes);
    expect(sha256(image)).toBe(vector.sha256);
    expect(fsverityDigest(image)).toBe(vector.fsverity);
    expect(versionOf(image)).toBe(vector.version);
  });

  it.each(distinct)('is read, dumped and written again without a change, versions $range', ({ options, vector }) => {
    const image = encodeImage(parseDump(dump), options);
    const tree = decodeImage(image);
    const canonical = dumpOf(tree);
    expect(sha256(name === 'corner-objects-bare' ? withStrayBytes(canonical) : canonical)).toBe(vector.dumpSha256);
    expect(encodeAgain(tree, image).equals(image), 'image -> tree -> image').toBe(true);
    const exact = encodeAgain(parseDump(dumpOf(tree, true)), image);
    expect(exact.equals(image), 'image -> exact dump -> image').toBe(true);
    if (name === MOVED_MARKS) return;
    const again = decodeImage(encodeAgain(parseDump(canonical), image));
    expect(dumpOf(again).equals(canonical), 'dump -> image -> dump').toBe(true);
  });
});

describe('a dump that breaks a rule', () => {
  /** Where one text breaks two rules, the other one may be named. */
  const OTHER_RULES: Readonly<Record<string, string>> = {
    'xattr key longer than 255 (and line part over 65535)': 'xattrs of one line longer than 65535 bytes of text',
  };

  it.each(BAD_DUMPS)('$name: $rule', ({ name, rule }) => {
    const write = () => encodeImage(parseDump(vectorDump(name), { where: `${name}.dump` }));
    expect(write).toThrow(OsupdError);
    expect(write).toThrow(
      expect.objectContaining({
        code: 'invalid-dump',
        where: `${name}.dump`,
        facts: expect.objectContaining({ rule: OTHER_RULES[rule] ?? rule }),
      }),
    );
  });
});
