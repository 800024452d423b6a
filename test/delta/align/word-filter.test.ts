import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { WORD_BYTES, WordFilter } from '../../../src/delta/align/word-filter.ts';
import { noise } from '../../helpers/pools.ts';
import { byteStrings } from './inputs.ts';

describe('the filter of words', () => {
  it('never denies a word that is there', () => {
    fc.assert(
      fc.property(byteStrings(), (bytes) => {
        const words = new WordFilter(bytes);
        for (let at = 0; at + WORD_BYTES <= bytes.length; at++) expect(words.mayHave(bytes, at)).toBe(true);
      }),
    );
  });

  it('denies most words that are not there', () => {
    const words = new WordFilter(noise(100_000, 1));
    const other = noise(20_000, 2);
    let wrong = 0;
    for (let at = 0; at + WORD_BYTES <= other.length; at++) if (words.mayHave(other, at)) wrong++;
    expect(wrong).toBeLessThan(other.length / 4);
  });
});
