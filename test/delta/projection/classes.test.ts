import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AddressMap, OUTSIDE } from '../../../src/delta/projection/address-map.ts';
import { EM_X86_64, ET_DYN, readElf } from '../../../src/delta/projection/elf.ts';
import { LinkedFile } from '../../../src/delta/projection/linked-file.ts';
import { newByteClasses } from '../../../src/delta/projection/projection.ts';
import { markRows, sixKinds } from '../../../src/delta/projection/word-kinds.ts';
import { buildElf } from './elf-builder.ts';

const SIZE = 200;

const classAt = (classes: Uint8Array, at: number) => (classes[at >>> 1]! >>> ((at & 1) << 2)) & 15;

function classesOf(classes: Uint8Array): number[] {
  return Array.from({ length: SIZE }, (_, at) => classAt(classes, at));
}

const range = fc.tuple(fc.nat(SIZE), fc.nat(SIZE)).map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const);

describe('classes of bytes', () => {
  it('repeat with the rows of a table, and are left alone around it', () => {
    fc.assert(
      fc.property(range, fc.constantFrom([7], [16, 3], sixKinds(20)), fc.nat(15), ([from, to], kinds, before) => {
        const classes = newByteClasses(SIZE).fill(before * 17);
        markRows(classes, from, to, kinds);
        const expected = Array.from({ length: SIZE }, (_, at) => {
          if (at < from || at >= to) return before;
          const kind = kinds[((at - from) >>> 2) % kinds.length]!;
          return 13 + (Math.floor(kind / 3 ** ((at - from) & 3)) % 3);
        });
        expect(classesOf(classes)).toEqual(expected);
      }),
    );
  });

  it('are marked one by one, as a reference, or all of a range', () => {
    const elf = readElf(buildElf({ type: ET_DYN, machine: EM_X86_64, sections: [] }))!;
    const [starts, shifts, kinds] = [Uint32Array.of(0), Int32Array.of(0), Uint8Array.of(OUTSIDE)];
    const mark = fc.tuple(fc.constantFrom('byte', 'four', 'eight', 'all'), range, fc.integer({ min: 1, max: 13 }));
    fc.assert(
      fc.property(fc.array(mark, { maxLength: 20 }), (marks) => {
        const bytes = new Uint8Array(SIZE);
        const file = new LinkedFile({ ...elf, bytes }, [], new AddressMap({ starts, shifts, kinds }), 0);
        const expected = new Array<number>(SIZE).fill(0);
        for (const [what, [from, to], kind] of marks) {
          const count = what === 'byte' ? 1 : what === 'four' ? 4 : what === 'eight' ? 8 : to - from;
          if (from + count > SIZE) continue;
          if (what === 'byte') file.markByte(from, kind);
          else if (what === 'all') file.markAll(from, to, kind);
          else file.mark(from, count, kind);
          const isReference = what === 'four' || what === 'eight';
          for (let byte = 0; byte < count; byte++) expected[from + byte] = kind + (isReference ? Math.min(byte, 2) : 0);
        }
        expect(classesOf(file.classes)).toEqual(expected);
      }),
    );
  });
});
