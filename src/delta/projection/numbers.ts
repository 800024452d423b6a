/** Numbers of a projection's description. */
import type { ByteReader, ByteWriter } from '../../core/bytes.ts';
import { damagedPart } from '../damage.ts';

/** The complaint about a description. */
export const badDescription = damagedPart("projection's description");

/** A signed number as an unsigned one: small where it is near zero. */
function zigzag(value: number): number {
  return value < 0 ? -2 * value - 1 : 2 * value;
}

/** Writes a signed number. */
export function writeSigned(out: ByteWriter, value: number): void {
  out.varint(zigzag(value));
}

/** Reads a signed number. */
export function readSigned(reader: ByteReader, what: string): number {
  const value = reader.varint(what);
  return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
}

/** Writes signed numbers that are mostly zero: how many zeros, then one that is not, and so on; no zeros and a zero end it. */
export function writeSparse(out: ByteWriter, numbers: readonly number[]): void {
  let zeros = 0;
  for (const number of numbers) {
    if (number === 0) {
      zeros++;
      continue;
    }
    out.varint(zeros);
    writeSigned(out, number);
    zeros = 0;
  }
  out.varint(0);
  out.varint(0);
}

/** @throws OsupdError `damaged-delta` for more than `count` numbers. */
export function readSparse(reader: ByteReader, count: number): Float64Array {
  const numbers = new Float64Array(count);
  for (let at = 0; ; at++) {
    at += reader.varint('a number of zeros');
    const value = readSigned(reader, 'a number');
    if (value === 0) return numbers;
    if (at >= count) throw badDescription('there are too many numbers', reader.offset);
    numbers[at] = value;
  }
}
