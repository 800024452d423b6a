/**
 * Sparse files in a tar: the pieces of data that are there, and the file with zeros between them. Four dialects say where
 * the pieces are: the old GNU header (tar-header.ts), and the pax forms 0.0, 0.1 (records) and 1.0 (text before the data).
 *
 * GNU tar manual, "Storing Sparse Files".
 */
import { MAX_TAR_SPARSE_PARTS } from '../core/limits.ts';
import { ChunkReader } from './chunk-reader.ts';
import type { Refuse } from './tar-header.ts';
import { type PaxRecords, paxNumber, paxText } from './tar-pax.ts';

export interface SparsePart {
  readonly offset: number;
  readonly length: number;
}

export interface SparseMap {
  /** In the order of their offsets; undefined where they stand before the data (pax 1.0). */
  readonly parts: readonly SparsePart[] | undefined;
  /** Bytes of the file with its holes. */
  readonly realSize: number;
}

/** The sparse map that the records of an entry give, if any. `storedSize` is the size of the entry's data. */
export function paxSparseMap(records: PaxRecords, storedSize: number, refuse: Refuse): SparseMap | undefined {
  const realSize = paxNumber(records, 'GNU.sparse.realsize', refuse) ?? paxNumber(records, 'GNU.sparse.size', refuse);
  const major = paxNumber(records, 'GNU.sparse.major', refuse) ?? 0;
  const minor = paxNumber(records, 'GNU.sparse.minor', refuse) ?? 0;
  if (major === 1 && minor === 0) {
    if (realSize === undefined) throw refuse('a sparse file does not say its size');
    return { parts: undefined, realSize };
  }
  if (major !== 0) throw refuse(`sparse files of form ${major}.${minor} are not known`);
  const list = paxText(records, 'GNU.sparse.map', refuse);
  const offsets = paxText(records, 'GNU.sparse.offset', refuse);
  if (realSize === undefined && list === undefined && offsets === undefined) return undefined;
  if (realSize === undefined) throw refuse('a sparse file does not say its size');
  const parts =
    list === undefined
      ? joinParts(numbers(offsets, refuse), numbers(paxText(records, 'GNU.sparse.numbytes', refuse), refuse), refuse)
      : pairParts(numbers(list, refuse), refuse);
  const count = paxNumber(records, 'GNU.sparse.numblocks', refuse);
  if (count !== undefined && count !== parts.length)
    throw refuse('a sparse map does not have as many pieces as it says');
  checkSparseMap(parts, realSize, storedSize, refuse);
  return { parts, realSize };
}

/** One piece; both numbers come from the archive. */
export function parseSparsePair(offset: number, length: number, refuse: Refuse): SparsePart {
  if (!(offset >= 0 && length >= 0 && Number.isSafeInteger(offset + length)))
    throw refuse('a sparse map has a number out of range');
  return { offset, length };
}

/** Pieces must follow each other, lie in the file and be just what the archive stores of it. */
export function checkSparseMap(
  parts: readonly SparsePart[],
  realSize: number,
  storedSize: number,
  refuse: Refuse,
): void {
  if (parts.length > MAX_TAR_SPARSE_PARTS) throw refuse(`a sparse file has more than ${MAX_TAR_SPARSE_PARTS} pieces`);
  let end = 0;
  let total = 0;
  for (const { offset, length } of parts) {
    if (offset < end) throw refuse('the pieces of a sparse file overlap');
    end = offset + length;
    total += length;
  }
  if (!(end <= realSize)) throw refuse('a sparse map goes past the end of its file');
  if (total !== storedSize) throw refuse('the pieces of a sparse file are not as long as its data');
}

const ZEROS = Buffer.alloc(1 << 16);

/** The file with its holes filled, from the entry's data. */
export async function* expandSparse(
  data: AsyncIterable<Uint8Array>,
  storedSize: number,
  map: SparseMap,
  refuse: Refuse,
): AsyncGenerator<Uint8Array> {
  const reader = new ChunkReader(data);
  const parts = map.parts ?? (await readSparseMap(reader, map.realSize, storedSize, refuse));
  let position = 0;
  for (const { offset, length } of [...parts, { offset: map.realSize, length: 0 }]) {
    for (let hole = offset - position; hole > 0; hole -= ZEROS.length) yield ZEROS.subarray(0, hole);
    yield* reader.stretch(length);
    position = offset + length;
  }
}

/** The map of the form 1.0: decimal lines, first the number of pieces, filled up to a whole block. */
async function readSparseMap(reader: ChunkReader, realSize: number, storedSize: number, refuse: Refuse) {
  const values: number[] = [];
  let text = '';
  let taken = 0;
  // The first number says how many pairs follow.
  while (values.length === 0 || values.length < 1 + 2 * (values[0] as number)) {
    const newline = text.indexOf('\n');
    if (newline >= 0) {
      values.push(...numbers(text.slice(0, newline), refuse));
      text = text.slice(newline + 1);
      if ((values[0] as number) > MAX_TAR_SPARSE_PARTS)
        throw refuse(`a sparse file has more than ${MAX_TAR_SPARSE_PARTS} pieces`);
      continue;
    }
    const block = await reader.read(512);
    if (block.length < 512 || text.length > 32) throw refuse('a sparse map is cut off');
    taken += block.length;
    text += Buffer.from(block).toString('latin1');
  }
  const parts = pairParts(values.slice(1), refuse);
  checkSparseMap(parts, realSize, storedSize - taken, refuse);
  return parts;
}

function numbers(list: string | undefined, refuse: Refuse): number[] {
  if (list === undefined) return [];
  return list.split(',').map((text) => {
    if (!/^\d{1,16}$/.test(text)) throw refuse('a sparse map has something that is not a number');
    return Number(text);
  });
}

function pairParts(values: readonly number[], refuse: Refuse): SparsePart[] {
  if (values.length % 2 !== 0) throw refuse('a sparse map has an offset without a length');
  const parts: SparsePart[] = [];
  for (let at = 0; at < values.length; at += 2)
    parts.push(parseSparsePair(values[at] as number, values[at + 1] as number, refuse));
  return parts;
}

function joinParts(offsets: readonly number[], lengths: readonly number[], refuse: Refuse): SparsePart[] {
  if (offsets.length !== lengths.length) throw refuse('a sparse map has an offset without a length');
  return offsets.map((offset, index) => parseSparsePair(offset, lengths[index] as number, refuse));
}
