import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { joinSketches, type Sketch, sketchOf, spacingFor } from '../../src/delta/sketch.ts';
import { type Match, SketchIndex } from '../../src/delta/sketch-index.ts';
import { noise } from '../helpers/pools.ts';

/** Of the program that runs this test: code, tables, texts. */
const program = readFileSync(process.execPath).subarray(0, 8 << 20);

function common(a: Sketch, b: Sketch): number {
  const known = new Set(a.hashes);
  return b.hashes.filter((hash) => known.has(hash)).length;
}

describe('a sketch', () => {
  it('samples about one string in the spacing', () => {
    for (const spacing of [64, 512]) {
      const { hashes } = sketchOf(noise(1 << 20, 3), spacing);
      expect(hashes.length).toBeGreaterThan((0.8 * 2 ** 20) / spacing);
      expect(hashes.length).toBeLessThan((1.2 * 2 ** 20) / spacing);
    }
  });

  it('says how rare each string is, so that a sketch of wider spacing follows from it', () => {
    const dense = sketchOf(program, 64);
    for (const log of [7, 11]) {
      const rare = dense.hashes.filter((_, index) => dense.rarities[index]! >= log);
      expect(rare).toEqual(sketchOf(program, 2 ** log).hashes);
    }
  });

  it('of a part has the strings of the part, wherever it lies', () => {
    fc.assert(
      fc.property(fc.nat(4 << 20), fc.integer({ min: 20_000, max: 200_000 }), fc.nat(100_000), (at, length, shift) => {
        const part = program.subarray(at, at + length);
        const moved = Buffer.concat([noise(shift, 1), part, noise(5000, 2)]);
        const own = sketchOf(part, 64);
        expect(common(own, sketchOf(moved, 64))).toBe(own.hashes.length);
      }),
      { numRuns: 30 },
    );
  });

  it('of slices misses only what lies across their cuts', () => {
    const whole = sketchOf(program, 512);
    const slices: Sketch[] = [];
    for (let at = 0; at < program.length; at += 1 << 20)
      slices.push(sketchOf(program.subarray(at, at + (1 << 20)), 512));
    const joined = joinSketches(slices.reverse());
    expect(common(whole, joined)).toBe(joined.hashes.length);
    expect(joined.hashes.length).toBeGreaterThan(whole.hashes.length - 10);
    expect([...joined.hashes]).toEqual([...joined.hashes].sort((a, b) => a - b));
  });

  it('of zeros and short patterns is empty', () => {
    for (const pattern of ['\0', 'a', '\0\0\0\x01'])
      expect(sketchOf(Buffer.from(pattern.repeat(20_000)), 64).hashes.length).toBeLessThanOrEqual(4);
  });

  it('of content shorter than one string is empty', () => {
    for (let length = 0; length < 32; length++) expect(sketchOf(noise(length, length), 64).hashes).toHaveLength(0);
  });

  it('is bounded: about 128 strings up to 256 KiB, then one in 2 KiB', () => {
    for (const size of [0, 1, 8192, 8193, 100_000, 256 << 10, 300_000, 2 ** 31, 2 ** 52])
      expect(size / spacingFor(size)).toBeLessThanOrEqual(Math.max(128, size / 2048));
    expect([0, 8192, 8193, 256 << 10, (256 << 10) + 1, 2 ** 52].map(spacingFor)).toEqual([
      64, 64, 128, 2048, 2048, 2048,
    ]);
  });
});

describe('an index of sketches', () => {
  const sketches = Array.from({ length: 60 }, (_, number) => sketchOf(noise(8192, number), 64));

  it('finds the contents that share strings, and which strings', () => {
    const index = new SketchIndex();
    for (const [number, sketch] of sketches.entries()) index.add(number, sketch);
    const mixed = Buffer.concat([noise(8192, 7), noise(8192, 20)]);
    const sketch = sketchOf(mixed, 64);
    const found = index.find(sketch);
    expect(found.map(({ content }) => content)).toEqual([7, 20]);
    for (const { content, strings } of found)
      expect([...strings].map((string) => sketch.hashes[string])).toEqual([...sketches[content]!.hashes]);
  });

  it('looks at few of very many contents that share a string, and at the likely ones', () => {
    const index = new SketchIndex();
    const common = noise(4096, 1000);
    const contentOf = (number: number) => sketchOf(Buffer.concat([common, noise(4096, number)]), 64);
    for (let number = 0; number < 300; number++) index.add(number, contentOf(number));
    const sharedBy = (matches: readonly Match[], wanted: number) =>
      matches.find(({ content }) => content === wanted)?.strings.length ?? 0;
    const own = contentOf(250).hashes.length;
    const matches = index.find(contentOf(250), [200, 250]);
    expect(matches.length).toBeLessThan(50);
    expect(sharedBy(matches, 250)).toBe(own);
    expect(sharedBy(matches, 200)).toBeGreaterThan(own / 3);
    expect(sharedBy(matches, 0)).toBe(sharedBy(matches, 200));
    expect(sharedBy(matches, 299)).toBe(0);
    expect(sharedBy(index.find(contentOf(250)), 250)).toBeLessThan(own);
  });

  it('of 100,000 contents stays within its bound, finds by what is left, and does not depend on the order', () => {
    const maxEntries = 1 << 18;
    const indexes = [new SketchIndex(maxEntries), new SketchIndex(maxEntries)];
    const synthetic = (number: number): Sketch => {
      const hashes = Uint32Array.from(
        { length: 40 },
        (_, at) => Math.imul(number * 40 + at + 1, 0x9e3779b1) >>> 1,
      ).sort();
      return { hashes, rarities: new Uint8Array(40).fill(6) };
    };
    const before = process.memoryUsage().arrayBuffers;
    for (let number = 0; number < 100_000; number++) {
      indexes[0]!.add(number, synthetic(number));
      indexes[1]!.add(99_999 - number, synthetic(99_999 - number));
    }
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 * 8 * maxEntries * 3);
    expect(indexes[0]!.thinning).toBe(16);
    const wanted = [0, 5000, 99_999].map(synthetic);
    expect(wanted.map((sketch) => indexes[0]!.find(sketch))).toEqual(wanted.map((sketch) => indexes[1]!.find(sketch)));
    let found = 0;
    for (let number = 0; number < 1000; number++)
      if (indexes[0]!.find(synthetic(number)).some(({ content }) => content === number)) found++;
    expect(found).toBeGreaterThan(800);
  });
});
