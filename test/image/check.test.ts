import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { checkImage } from '../../src/image/check.ts';
import { encodeImage } from '../../src/image/write.ts';
import { fsverityDigest } from '../../src/objects/fsverity.ts';
import { parseDump } from '../../src/tree/parse-dump.ts';
import { itWith } from '../helpers/requirements.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';
import { GOOD_NAMES, vectorDump } from './vectors.ts';

const DIGEST = 'ab'.repeat(32);
const IMAGE = encodeImage(
  parseDump(
    Buffer.from(
      `/ 0 40755 2 0 0 0 0.0 - - -\n/f 9 100644 1 0 0 0 5.0 ab/cd - ${DIGEST}\n/g 3 100644 1 0 0 0 0.0 - abc - user.a=b\n`,
    ),
  ),
);

function changed(change: (copy: Buffer) => void): Buffer {
  const copy = Buffer.from(IMAGE);
  change(copy);
  return copy;
}

describe('checkImage', () => {
  it('finds nothing in an image that was written so', () => {
    expect(checkImage(IMAGE)).toEqual([]);
    expect(checkImage(IMAGE, { digest: fsverityDigest(IMAGE) })).toEqual([]);
  });

  it('names each field that is not what composefs writes', () => {
    const image = changed((copy) => {
      copy.write('rubbish', 1000);
      copy.write('more', copy.length - 4);
    });
    expect(checkImage(image)).toEqual([
      {
        kind: 'not-canonical',
        what: 'not zero as it should be of EROFS superblock is not what composefs writes',
        offset: 1000,
      },
      expect.objectContaining({ kind: 'not-canonical', offset: image.length - 4 }),
    ]);
  });

  it('reports the damage of what cannot be read', () => {
    expect(checkImage(changed((copy) => copy.write('x', 1024)))).toEqual([
      { kind: 'damaged', what: 'the EROFS superblock is missing', offset: 1024 },
    ]);
    expect(checkImage(Buffer.alloc(3))).toHaveLength(1);
  });

  it('compares the digest, which finds every change', () => {
    const digest = fsverityDigest(IMAGE);
    // A file's content is as good as another one for all that can be seen in the image.
    const image = changed((copy) => copy.write('abd', IMAGE.indexOf('abc')));
    expect(checkImage(image)).toEqual([]);
    expect(checkImage(image, { digest })).toEqual([
      { kind: 'wrong-digest', what: `the digest is ${fsverityDigest(image)}, not ${digest}` },
    ]);
  });
});

describe('fsck.erofs', () => {
  const directory = temporaryDirectory();

  itWith(['fsck.erofs'], 'accepts our images', () => {
    for (const name of GOOD_NAMES) {
      const image = encodeImage(parseDump(vectorDump(name)));
      if (image.length > 2_000_000) continue;
      const path = join(directory, 'image');
      writeFileSync(path, image);
      const { status, stdout, stderr } = spawnSync('fsck.erofs', [path], { encoding: 'utf8' });
      expect(status, `${name}: ${stdout}${stderr}`).toBe(0);
    }
  });
});
