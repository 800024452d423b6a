/** Numbers of either sign as varints: 0, -1, 1, -2, … ("zigzag"). */
import type { ByteReader, ByteWriter } from '../core/bytes.ts';

export function writeSigned(writer: ByteWriter, value: number): void {
  writer.varint(value < 0 ? -2 * value - 1 : 2 * value);
}

export function readSigned(reader: ByteReader, what: string): number {
  const value = reader.varint(what);
  return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
}
