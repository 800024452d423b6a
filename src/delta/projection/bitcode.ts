/**
 * The projection `bitcode`, for LLVM bitcode: streams of bits without regard to bytes, so that what comes behind an insertion of a few
 * bits is the same as before in no byte. The old file is followed by itself, shifted by one to seven bits: whatever was moved is in one of
 * the eight copies. (Two versions of PostgreSQL's bitcode: a third less.)
 *
 * Source of the format: https://llvm.org/docs/BitCodeFormat.html.
 */
import { MAX_BITCODE_BYTES } from '../../core/limits.ts';
import { damagedDelta } from '../damage.ts';
import { newByteClasses, type Projection } from './projection.ts';

/** One copy for each place of a bit in a byte. */
const COPIES = 8;

/** `BC` and 0xc0de; and the header of bitcode in a wrapper, 0x0b17c0de. */
const MAGICS: readonly (readonly number[])[] = [
  [0x42, 0x43, 0xc0, 0xde],
  [0xde, 0xc0, 0x17, 0x0b],
];

export const bitcode: Projection = {
  name: 'bitcode',
  growth: COPIES,
  describe(old, next) {
    return isBitcode(old) && isBitcode(next) && old.length <= MAX_BITCODE_BYTES ? new Uint8Array(0) : undefined;
  },
  project(old, _nextSize, description) {
    if (description.length > 0) throw damagedDelta('the projection of bitcode takes no description');
    const bytes = old.length <= MAX_BITCODE_BYTES ? shiftedCopies(old) : old;
    return { bytes, classes: newByteClasses(bytes.length) };
  },
};

function isBitcode(file: Uint8Array): boolean {
  return MAGICS.some((magic) => magic.every((byte, index) => file[index] === byte));
}

/** All copies are of the old file's size: what a shift moves out at the end is missed by nobody. */
function shiftedCopies(old: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(COPIES * old.length);
  bytes.set(old);
  for (let shift = 1; shift < COPIES; shift++) {
    const start = shift * old.length;
    let before = 0;
    for (let at = 0; at < old.length; at++) {
      const byte = old[at]!;
      // The bits of a byte come from the lowest to the highest.
      bytes[start + at] = (byte << shift) | (before >>> (8 - shift));
      before = byte;
    }
  }
  return bytes;
}
