/** Writes the literals section of a block (RFC 8878, 3.1.1.3.1): the inverse of read-literals.ts. */
import { BitWriter } from './bits.ts';
import type { LiteralsForm } from './decisions.ts';
import { LITERALS_RAW, LITERALS_RLE } from './format.ts';
import type { HuffmanTable } from './huffman-table.ts';

/** Writes literals that are not coded: all, or the one that all are. @returns where they end. */
function writePlain(
  out: Uint8Array,
  start: number,
  { mode, sizeFormat }: LiteralsForm,
  literals: Uint8Array,
  count: number,
): number {
  const headerBytes = (sizeFormat & 1) === 0 ? 1 : sizeFormat === 1 ? 2 : 3;
  const header = headerBytes === 1 ? count << 3 : count << 4;
  let at = writeNumber(out, start, header + (sizeFormat << 2) + mode, headerBytes);
  if (mode === LITERALS_RLE) out[at++] = literals[0]!;
  else {
    out.set(literals.subarray(0, count), at);
    at += count;
  }
  return at;
}

function writeNumber(out: Uint8Array, start: number, number: number, count: number): number {
  let rest = number;
  for (let byte = 0; byte < count; byte++) {
    out[start + byte] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  return start + count;
}

/** One stream of literals, the last one first. */
function writeStream(
  out: Uint8Array,
  start: number,
  literals: Uint8Array,
  from: number,
  to: number,
  { codes, lengths }: HuffmanTable,
): number {
  let at = start;
  let word = 0;
  let bits = 0;
  for (let literal = to - 1; literal >= from; literal--) {
    const symbol = literals[literal]!;
    word |= codes[symbol]! << bits;
    bits += lengths[symbol]!;
    if (bits >= 16) {
      out[at] = word;
      out[at + 1] = word >>> 8;
      at += 2;
      word >>>= 16;
      bits -= 16;
    }
  }
  const writer = new BitWriter(out, at);
  writer.add(word, bits);
  return writer.close();
}

/**
 * Writes `count` literals in a form, with the table that holds for them. What the form's header cannot say is not written right:
 * the caller compares. @returns where they end.
 */
export function writeLiterals(
  out: Uint8Array,
  start: number,
  form: LiteralsForm,
  literals: Uint8Array,
  count: number,
  table: HuffmanTable | undefined,
): number {
  const { mode, sizeFormat, description } = form;
  if (mode === LITERALS_RAW || mode === LITERALS_RLE || table === undefined)
    return writePlain(out, start, form, literals, count);
  const headerBytes = sizeFormat < 2 ? 3 : sizeFormat + 2;
  const sizeBits = sizeFormat < 2 ? 10 : sizeFormat === 2 ? 14 : 18;
  const first = start + headerBytes;
  let at = first;
  if (description !== undefined) {
    out.set(description, at);
    at += description.length;
  }
  if (sizeFormat === 0) at = writeStream(out, at, literals, 0, count, table);
  else {
    const each = (count + 3) >> 2;
    const sizes = at;
    at += 6;
    for (let stream = 0; stream < 4; stream++) {
      const from = Math.min(stream * each, count);
      const end = writeStream(out, at, literals, from, stream < 3 ? Math.min(from + each, count) : count, table);
      if (stream < 3) writeNumber(out, sizes + 2 * stream, end - at, 2);
      at = end;
    }
  }
  writeNumber(out, start, mode + sizeFormat * 4 + count * 16 + (at - first) * 2 ** (4 + sizeBits), headerBytes);
  return at;
}
