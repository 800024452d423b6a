/**
 * Branches of AArch64 (Arm ARM, C4.1.66) within a section of a relocatable file. Everything else that refers to places is relocated there,
 * and so are branches to elsewhere, which hold a distance of 0.
 */

/** The field of a branch that holds its distance, in words. */
interface BranchField {
  readonly shift: number;
  readonly bits: number;
}

const FIELD_26: BranchField = { shift: 0, bits: 26 };
const FIELD_19: BranchField = { shift: 5, bits: 19 };
const FIELD_14: BranchField = { shift: 5, bits: 14 };

function fieldOf(word: number): BranchField | undefined {
  // b, bl
  if ((word & 0x7c00_0000) === 0x1400_0000) return FIELD_26;
  // b.cond; cbz, cbnz
  if (word >>> 24 === 0x54 || (word & 0x7e00_0000) === 0x3400_0000) return FIELD_19;
  // tbz, tbnz
  if ((word & 0x7e00_0000) === 0x3600_0000) return FIELD_14;
  return undefined;
}

/**
 * Rewrites the branches of a section.
 * @param move gives the new distance for a branch at an offset in the file to another; both in bytes
 */
export function moveBranches(
  view: DataView,
  { offset, size }: { readonly offset: number; readonly size: number },
  move: (from: number, to: number) => number,
): void {
  for (let at = offset; at + 4 <= offset + size; at += 4) {
    const word = view.getInt32(at, true);
    const field = fieldOf(word);
    if (field === undefined) continue;
    const { shift, bits } = field;
    const distance = ((word << (32 - shift - bits)) >> (32 - bits)) * 4;
    const to = at + distance;
    if (distance === 0 || to < offset || to > offset + size) continue;
    const words = move(at, to) / 4;
    const mask = ((1 << bits) - 1) << shift;
    if (Number.isInteger(words)) view.setInt32(at, (word & ~mask) | ((words << shift) & mask), true);
  }
}
