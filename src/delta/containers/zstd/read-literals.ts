/** Reads the literals section of a block (RFC 8878, 3.1.1.3.1). */
import { BackwardBits, notZstd } from './bits.ts';
import type { LiteralsForm } from './decisions.ts';
import { LITERALS_COMPRESSED, LITERALS_RAW, LITERALS_RLE, MAX_BLOCK_BYTES } from './format.ts';
import { huffmanDecodingTable, readHuffmanTable } from './huffman-table.ts';

export interface LiteralsSection {
  readonly form: LiteralsForm;
  readonly size: number;
  readonly end: number;
}

export class LiteralsReader {
  /** The literals that were read last. */
  readonly literals = new Uint8Array(MAX_BLOCK_BYTES);
  #table: Uint16Array | undefined;
  #maxBits = 0;

  /** Forgets the table, at the begin of a frame. */
  reset(): void {
    this.#table = undefined;
  }

  /** @throws OsupdError `unsupported` */
  read(bytes: Uint8Array, start: number, end: number): LiteralsSection {
    if (start >= end) throw notZstd('a block without literals');
    const first = bytes[start]!;
    const mode = first & 3;
    const sizeFormat = (first >>> 2) & 3;
    return mode === LITERALS_RAW || mode === LITERALS_RLE
      ? this.#plain(bytes, start, end, mode, sizeFormat)
      : this.#coded(bytes, start, end, mode, sizeFormat);
  }

  #plain(bytes: Uint8Array, start: number, end: number, mode: number, sizeFormat: number): LiteralsSection {
    const headerBytes = (sizeFormat & 1) === 0 ? 1 : sizeFormat === 1 ? 2 : 3;
    const size = number(bytes, start, headerBytes, end) >>> (headerBytes === 1 ? 3 : 4);
    const at = start + headerBytes;
    const length = mode === LITERALS_RLE ? 1 : size;
    if (size > MAX_BLOCK_BYTES || length > end - at) throw notZstd('literals that are too long');
    if (mode === LITERALS_RLE) this.literals.fill(bytes[at]!, 0, size);
    else this.literals.set(bytes.subarray(at, at + size));
    // One byte has the size's lowest bit in the place of the format's second one.
    const form = { mode, sizeFormat: headerBytes === 1 ? 0 : sizeFormat, description: undefined };
    return { form, size, end: at + length };
  }

  #coded(bytes: Uint8Array, start: number, end: number, mode: number, sizeFormat: number): LiteralsSection {
    const headerBytes = sizeFormat < 2 ? 3 : sizeFormat + 2;
    const sizeBits = sizeFormat < 2 ? 10 : sizeFormat === 2 ? 14 : 18;
    const header = number(bytes, start, headerBytes, end);
    const size = Math.floor(header / 16) % 2 ** sizeBits;
    const length = Math.floor(header / 2 ** (4 + sizeBits));
    let at = start + headerBytes;
    const last = at + length;
    if (size > MAX_BLOCK_BYTES || last > end) throw notZstd('literals that are too long');
    let description: Uint8Array | undefined;
    if (mode === LITERALS_COMPRESSED) {
      const { table, end: tableEnd } = readHuffmanTable(bytes, at, last);
      description = bytes.subarray(at, tableEnd);
      at = tableEnd;
      this.#table = huffmanDecodingTable(table);
      this.#maxBits = table.maxBits;
    }
    if (this.#table === undefined) throw notZstd('literals without a table');
    if (sizeFormat === 0) this.#stream(bytes, at, last, 0, size);
    else {
      const streamsAt = at + 6;
      const each = (size + 3) >> 2;
      if (streamsAt > last || 3 * each > size) throw notZstd('literals that are too short for four streams');
      let streamAt = streamsAt;
      for (let stream = 0; stream < 4; stream++) {
        const streamEnd = stream < 3 ? streamAt + number(bytes, at + 2 * stream, 2, last) : last;
        if (streamEnd > last) throw notZstd('a stream of literals that is too long');
        this.#stream(bytes, streamAt, streamEnd, stream * each, stream < 3 ? (stream + 1) * each : size);
        streamAt = streamEnd;
      }
    }
    return { form: { mode, sizeFormat, description }, size, end: last };
  }

  #stream(bytes: Uint8Array, start: number, end: number, from: number, to: number): void {
    const table = this.#table!;
    const maxBits = this.#maxBits;
    const out = this.literals;
    const bits = new BackwardBits(bytes, start, end);
    for (let at = from; at < to; at++) {
      const entry = table[bits.peek(maxBits)]!;
      out[at] = entry >>> 4;
      bits.left -= entry & 15;
    }
    if (bits.left !== 0) throw notZstd('a stream of literals that does not end where it should');
  }
}

/** A number of up to 5 bytes. */
function number(bytes: Uint8Array, at: number, count: number, end: number): number {
  if (at + count > end) throw notZstd('a header that is cut off');
  let value = 0;
  for (let byte = count - 1; byte >= 0; byte--) value = value * 256 + bytes[at + byte]!;
  return value;
}
