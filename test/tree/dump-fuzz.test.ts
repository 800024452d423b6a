import { describe, expect, it } from 'vitest';
import { OsupdError } from '../../src/core/errors.ts';
import { decodeImage } from '../../src/image/read.ts';
import { encodeImage } from '../../src/image/write.ts';
import { parseDump } from '../../src/tree/parse-dump.ts';
import { mutate, randomNumbers } from '../helpers/mutate.ts';
import { vectorDump } from '../image/vectors.ts';

const RUNS = 2000 * Number(process.env.OSUPD_TEST_SCALE ?? 1);

const DUMPS = [
  'corner-hardlink-deep-primary',
  'corner-escapes-spelled',
  'corner-whiteouts-nested',
  'corner-devices-and-pipes',
  'corner-mtimes-negative',
  'corner-objects-bare',
  'corner-xattr-prefixes',
  'corner-names-equals-and-dashes',
  'no-newline',
].map(vectorDump);

/** Bytes that mean something in a dump. */
const TOKENS = [
  ' ',
  '\n',
  '/',
  '@',
  '-',
  '.',
  '=',
  '\\',
  '\\x',
  '\\x2f',
  '\\x00',
  '0',
  '9',
  '99999999999999999999',
  '\0',
  '\xff',
];

describe('a dump with random damage', () => {
  it('is parsed and written, or refused with the rule and the line', () => {
    const random = randomNumbers(3);
    let taken = 0;
    for (let run = 0; run < RUNS; run++) {
      const dump = DUMPS[run % DUMPS.length] as Buffer;
      const damaged = run % 2 === 0 ? mutate(dump, random) : insertToken(dump, random);
      try {
        const image = encodeImage(parseDump(damaged, { strict: run % 3 === 0 }));
        decodeImage(image);
        taken++;
      } catch (error) {
        if (!(error instanceof OsupdError)) throw error;
        expect(error.code).toBe('invalid-dump');
        expect(error.facts.rule).toBeTypeOf('string');
      }
    }
    expect(taken).toBeGreaterThan(RUNS / 100);
    expect(taken).toBeLessThan(RUNS);
  }, 600_000);
});

function insertToken(dump: Buffer, random: () => number): Buffer {
  const at = Math.floor(random() * dump.length);
  const token = TOKENS[Math.floor(random() * TOKENS.length)] as string;
  const replaced = Math.floor(random() * 3);
  return Buffer.concat([dump.subarray(0, at), Buffer.from(token, 'latin1'), dump.subarray(at + replaced)]);
}
