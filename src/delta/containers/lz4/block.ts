/**
 * LZ4 blocks (lz4_Block_format.md of the LZ4 project): sequences of literals and a match each, the last of literals alone. There is
 * one way to write given sequences, so content and sequences determine a block's bytes.
 */

export const MIN_MATCH = 4;
export const MAX_DISTANCE = 0xffff;

/** No match begins in the last bytes of a block, and none reaches into the very last. */
export const MATCH_FREE_BYTES = 12;
export const LAST_LITERALS = 5;

/** Lengths from here on go on in bytes of their own. */
const LONG_LENGTH = 15;

/** Columns of a block's sequences; the last literals are not among them. */
export interface Sequences {
  readonly count: number;
  readonly literals: Uint32Array;
  readonly matches: Uint32Array;
  readonly offsets: Uint16Array;
}

export interface Lz4Block {
  readonly content: Uint8Array;
  readonly sequences: Sequences;
}

/** @returns undefined for bytes that are no block, or one of more than `limit` bytes of content. */
export function readBlock(bytes: Uint8Array, limit: number): Lz4Block | undefined {
  // Each sequence takes three bytes at least.
  const most = Math.floor(bytes.length / 3) + 1;
  const literals = new Uint32Array(most);
  const matches = new Uint32Array(most);
  const offsets = new Uint16Array(most);
  let content = new Uint8Array(Math.min(limit, Math.max(1 << 12, 4 * bytes.length)));
  let count = 0;
  let at = 0;
  let to = 0;
  const room = (more: number): boolean => {
    if (more > limit - to) return false;
    if (to + more <= content.length) return true;
    const grown = new Uint8Array(Math.min(limit, Math.max(2 * content.length, to + more)));
    grown.set(content.subarray(0, to));
    content = grown;
    return true;
  };
  for (;;) {
    const token = bytes[at++];
    if (token === undefined) return undefined;
    let literal = token >> 4;
    if (literal === LONG_LENGTH) {
      const long = readLength(bytes, at);
      literal += long.value;
      at = long.end;
    }
    if (literal > bytes.length - at || !room(literal)) return undefined;
    content.set(bytes.subarray(at, at + literal), to);
    at += literal;
    to += literal;
    if (at === bytes.length) {
      // A match length with the last literals says nothing; nobody writes one.
      if ((token & 15) !== 0) return undefined;
      const sequences = { count, literals, matches, offsets };
      return { content: content.subarray(0, to), sequences };
    }
    if (bytes.length - at < 2) return undefined;
    const offset = (bytes[at] as number) | ((bytes[at + 1] as number) << 8);
    at += 2;
    let match = (token & 15) + MIN_MATCH;
    if ((token & 15) === LONG_LENGTH) {
      const long = readLength(bytes, at);
      match += long.value;
      at = long.end;
    }
    if (offset === 0 || offset > to || !room(match)) return undefined;
    for (const end = to + match; to < end; to++) content[to] = content[to - offset] as number;
    literals[count] = literal;
    matches[count] = match;
    offsets[count] = offset;
    count++;
  }
}

function readLength(bytes: Uint8Array, start: number): { value: number; end: number } {
  let at = start;
  while (bytes[at] === 255) at++;
  return { value: 255 * (at - start) + (bytes[at] ?? 0), end: at + 1 };
}

/** Writes the sequences of one block. */
export class BlockWriter {
  readonly #content: Uint8Array;
  #bytes: Uint8Array;
  #length = 0;
  #position = 0;

  constructor(content: Uint8Array) {
    this.#content = content;
    this.#bytes = new Uint8Array(Math.max(64, content.length >> 1));
  }

  /** Content that the sequences so far make. */
  get position(): number {
    return this.#position;
  }

  /** Literals, and a match of that many bytes at that distance; 0 bytes for the last literals. */
  add(literals: number, match: number, offset: number): void {
    this.#reserve(literals + Math.ceil((literals + match) / 255) + 8);
    const bytes = this.#bytes;
    const matchCode = match === 0 ? 0 : match - MIN_MATCH;
    bytes[this.#length++] = (Math.min(literals, LONG_LENGTH) << 4) | Math.min(matchCode, LONG_LENGTH);
    this.#addLength(literals);
    bytes.set(this.#content.subarray(this.#position, this.#position + literals), this.#length);
    this.#length += literals;
    this.#position += literals + match;
    if (match === 0) return;
    bytes[this.#length++] = offset & 0xff;
    bytes[this.#length++] = offset >> 8;
    this.#addLength(matchCode);
  }

  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  #addLength(length: number): void {
    let left = length - LONG_LENGTH;
    if (left < 0) return;
    for (; left >= 255; left -= 255) this.#bytes[this.#length++] = 255;
    this.#bytes[this.#length++] = left;
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(2 * this.#bytes.length, this.#length + more));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
}
