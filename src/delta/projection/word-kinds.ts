/**
 * Byte classes for what is not code: each word of four bytes has one of many kinds, written in those classes that code leaves free,
 * one to a byte. The coder of residuals looks at the classes of whole words.
 */
import type { ByteClasses } from './projection.ts';

/** The classes that are used: 13, 14 and 15, as the digits of a kind. */
const FIRST_CLASS = 13;
const DIGITS = 3;

/** Kinds of words, below 81. Those of one row follow one another. */
export const RELOCATION_KINDS = 1;
export const SYMBOL_KINDS = 7;
export const BTF_KIND = 13;
export const TABLE_KIND = 16;
export const TEXT_KIND = 17;
export const CHECKSUM_KIND = 18;
export const UNWIND_KIND = 19;
export const HEADER_KIND = 20;
export const SIGNATURE_KIND = 21;

function digitOf(kind: number, place: number): number {
  return FIRST_CLASS + (Math.floor(kind / DIGITS ** place) % DIGITS);
}

function mark(classes: ByteClasses, at: number, digit: number): void {
  const shift = (at & 1) << 2;
  classes[at >>> 1] = (classes[at >>> 1]! & ~(15 << shift)) | (digit << shift);
}

/**
 * Marks rows of whole words.
 * @param kinds of the words of one row
 */
export function markRows(classes: ByteClasses, from: number, to: number, kinds: readonly number[]): void {
  if (from >= to) return;
  const rowBytes = kinds.length * 4;
  const row = Uint8Array.from({ length: rowBytes }, (_, place) => digitOf(kinds[place >>> 2]!, place & 3));
  const digit = (at: number) => row[(at - from) % rowBytes]!;
  // Classes are two to a byte, the first one of an even offset.
  const [first, end] = [from + (from & 1), to - (to & 1)];
  if (first > from) mark(classes, from, digit(from));
  if (end < to) mark(classes, end, digit(end));
  const pairs = Uint8Array.from(
    { length: rowBytes / 2 },
    (_, pair) => digit(first + 2 * pair) | (digit(first + 2 * pair + 1) << 4),
  );
  repeat(classes, first >>> 1, end >>> 1, pairs);
}

/** Fills classes[from..to) with a pattern, as a whole; each step doubles what is there. */
function repeat(classes: ByteClasses, from: number, to: number, pattern: Uint8Array): void {
  const length = Math.min(pattern.length, to - from);
  if (length <= 0) return;
  classes.set(pattern.subarray(0, length), from);
  for (let done = length; done < to - from; done *= 2)
    classes.copyWithin(from + done, from, from + Math.min(done, to - from - done));
}

/** The kinds of the six words of a relocation or symbol, from their first. */
export function sixKinds(first: number): readonly number[] {
  return [0, 1, 2, 3, 4, 5].map((word) => first + word);
}
