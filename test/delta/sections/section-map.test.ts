import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { NO_SECTIONS, type SectionMap, sectionMapOf } from '../../../src/delta/sections/section-map.ts';
import { randomNumbers } from '../../helpers/mutate.ts';
import { noise } from '../../helpers/pools.ts';

/** An ELF file that every system has. */
const SHELL = readFileSync('/bin/sh');

function expectWhole({ ends, names }: SectionMap, size: number): void {
  expect(names).toHaveLength(ends.length);
  expect(ends.every((end, index) => end > (ends[index - 1] ?? 0))).toBe(true);
  expect(ends.at(-1)).toBe(size);
}

describe('sectionMapOf', () => {
  it('names the sections of a program, from its headers to its end', () => {
    const map = sectionMapOf(SHELL);
    expectWhole(map, SHELL.length);
    expect(map.names[0]).toBe('(headers)');
    expect(map.names).toEqual(expect.arrayContaining(['.text', '.rodata', '.dynsym']));
    const text = map.names.indexOf('.text');
    expect(map.ends[text]! - map.ends[text - 1]!).toBeGreaterThan(10_000);
  });

  it('names what follows the last section and its headers', () => {
    const signed = Buffer.concat([SHELL, noise(552, 1)]);
    const map = sectionMapOf(signed);
    expectWhole(map, signed.length);
    expect(map.names.at(-1)).toBe('(appended)');
    expect(map.ends.at(-1)! - map.ends.at(-2)!).toBeGreaterThanOrEqual(552);
  });

  it('takes other files as one piece', () => {
    expect(sectionMapOf(noise(1000, 2))).toEqual({ ends: [1000], names: [NO_SECTIONS] });
    expectWhole(sectionMapOf(SHELL.subarray(0, 100)), 100);
  });

  it('covers any damaged file', () => {
    const random = randomNumbers(3);
    for (let round = 0; round < 300; round++) {
      const bytes = Buffer.from(SHELL.subarray(0, 4096 + Math.floor(random() * (SHELL.length - 4096))));
      // The headers, most of them at the beginning and the end.
      for (let count = 0; count < 20; count++) {
        const at = Math.floor(random() * 2000);
        bytes[random() < 0.3 ? at % 64 : bytes.length - 1 - at] = Math.floor(random() * 256);
      }
      bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
      expectWhole(sectionMapOf(bytes), bytes.length);
    }
  });
});
