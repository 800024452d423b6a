import { describe, expect, it } from 'vitest';
import { OsupdError } from '../../src/core/errors.ts';
import { checkImage } from '../../src/image/check.ts';
import { explainImage } from '../../src/image/explain.ts';
import { BLOCK_BYTES, maxExpansion } from '../../src/image/format.ts';
import { decodeImage } from '../../src/image/read.ts';
import { encodeImage } from '../../src/image/write.ts';
import { formatDump } from '../../src/tree/dump.ts';
import { parseDump } from '../../src/tree/parse-dump.ts';
import { mutate, randomNumbers } from '../helpers/mutate.ts';
import { vectorDump } from './vectors.ts';

const RUNS = 2000 * Number(process.env.OSUPD_TEST_SCALE ?? 1);

const NAMES = [
  'special',
  'corner-xattr-shared-order',
  'corner-hardlink-to-each-type',
  'corner-whiteouts-nested',
  'corner-chunk-arrays',
  'corner-symlink-lengths',
  'corner-dir-around-4096',
  'corner-root-has-hex-children',
  'all-104',
];

const IMAGES = NAMES.flatMap((name) => {
  const tree = parseDump(vectorDump(name));
  return ([0, 1] as const).map((version) => encodeImage(tree, { minVersion: version, maxVersion: version }));
});

/** What a mutated image is used for; true when it could be read. */
function use(image: Buffer): boolean {
  try {
    const tree = decodeImage(image);
    let bytes = 0;
    for (const line of formatDump(tree)) bytes += line.length;
    // Four characters for a byte, and some hundred for the other fields of each line.
    expect(bytes).toBeLessThan(4 * maxExpansion(image.length) + 100 * image.length);
    return true;
  } catch (error) {
    if (error instanceof OsupdError && error.code === 'damaged-image') return false;
    throw error;
  }
}

describe('an image with random damage', () => {
  it('is read or refused as damaged', () => {
    const random = randomNumbers(1);
    for (let run = 0; run < RUNS; run++) use(mutate(IMAGES[run % IMAGES.length] as Buffer, random));
  }, 600_000);

  it('that is cut or has whole blocks more is refused', () => {
    const image = IMAGES[0] as Buffer;
    for (let length = 0; length < image.length; length += 509) expect(use(image.subarray(0, length))).toBe(false);
    expect(use(Buffer.concat([image, Buffer.alloc(BLOCK_BYTES)]))).toBe(false);
  });

  it('is checked and explained as far as it can be read', () => {
    const random = randomNumbers(2);
    let found = 0;
    const runs = Math.ceil(RUNS / 10);
    for (let run = 0; run < runs; run++) {
      const image = mutate(IMAGES[run % IMAGES.length] as Buffer, random);
      if (checkImage(image).length > 0) found++;
      for (const line of explainImage(image)) expect(line.endsWith('\n')).toBe(true);
    }
    // What is left is damage that makes another valid image: of a mode, an owner, a name.
    expect(found).toBeGreaterThan(runs / 2);
  }, 600_000);

  it('is found by fsck where a single bit of it changes no field of the tree', () => {
    const image = encodeImage(parseDump(Buffer.from('/ 0 40755 2 0 0 0 0.0 - - -\n')));
    // Padding, the header, and fields that follow from others.
    for (const offset of [40, 1023, 1028, 1037, 1060, 1151, 1164, 1189, 1215, 4096 * 2 - 1, image.length - 1]) {
      const damaged = Buffer.from(image);
      damaged[offset] = (damaged[offset] as number) ^ 0x10;
      expect(checkImage(damaged), `byte ${offset}`).toHaveLength(1);
    }
  });
});
