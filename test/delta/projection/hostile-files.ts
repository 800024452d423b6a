/** Files that are damaged on purpose, and what must come of them: for tests of projections. */
import fc from 'fast-check';
import { expect } from 'vitest';
import { OsupdError } from '../../../src/core/errors.ts';

/** ELF files with some of their bytes changed, most of them in the headers. */
export function mutatedFiles(files: fc.Arbitrary<Uint8Array>, maxChanges: number): fc.Arbitrary<Uint8Array> {
  const changes = fc.array(fc.tuple(fc.nat(), fc.boolean(), fc.nat(255)), { maxLength: maxChanges });
  return fc.tuple(files, changes).map(([bytes, list]) => {
    const headers = 64 * (1 + (bytes[60] ?? 0));
    for (const [place, isHeader, value] of list)
      bytes[isHeader ? Math.max(0, bytes.length - 1 - (place % headers)) : place % bytes.length] = value;
    return bytes;
  });
}

/** What `run` gives as hexadecimal digits, or the code of its error. */
export function outcomeOf(run: () => Uint8Array): string {
  try {
    return Buffer.from(run()).toString('hex');
  } catch (error) {
    if (error instanceof OsupdError) return error.code;
    throw error;
  }
}

/** Any description of any file ends in bytes or in `damaged-delta`, and always in the same ones. */
export function expectSameOutcomes(
  files: fc.Arbitrary<Uint8Array>,
  attempt: (old: Uint8Array, nextSize: number, description: Uint8Array) => string,
  numRuns: number,
): void {
  fc.assert(
    fc.property(files, fc.uint8Array({ maxLength: 60 }), fc.nat(3000), (old, description, nextSize) => {
      const outcome = attempt(old, nextSize, description);
      expect(attempt(old, nextSize, description)).toBe(outcome);
      expect(outcome).toMatch(/^([0-9a-f]*|damaged-delta)$/);
    }),
    { numRuns },
  );
}
