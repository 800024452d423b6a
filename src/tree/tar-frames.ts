/**
 * The part of reading a tar that comes before tar-stream: every header is checked, and what tar-stream does not know or
 * does not keep exactly is taken out of the stream and told to the caller instead: pax records (it takes them for UTF-8 and
 * passes over broken ones), global records, GNU long names, sparse maps, the end of the archive (it reads on behind it).
 * What is left for it are plain headers, each with its data.
 */
import { type ByteString, fromBytes } from '../core/bytes.ts';
import { MAX_TAR_EXTENSION_BYTES, MAX_TAR_SPARSE_PARTS } from '../core/limits.ts';
import type { ChunkReader } from './chunk-reader.ts';
import {
  BLOCK_BYTES,
  isZeroBlock,
  parseHeader,
  parseSparseBlock,
  parseSparseHeader,
  plainHeader,
  type Refuse,
  type TarHeader,
} from './tar-header.ts';
import { type PaxRecords, parsePaxRecords, paxNumber } from './tar-pax.ts';
import { checkSparseMap, paxSparseMap, type SparseMap } from './tar-sparse.ts';

/** All that stands before the data of one entry, but for the names in the header itself. */
export interface TarFrame {
  readonly header: TarHeader;
  /** Global records and the entry's own, which win. */
  readonly records: PaxRecords;
  /** From GNU long name headers. */
  readonly longName: ByteString | undefined;
  readonly longLink: ByteString | undefined;
  /** Bytes of data in the archive. */
  readonly storedSize: number;
  readonly sparse: SparseMap | undefined;
}

/** What has been read for the entry that comes next. */
interface Extensions {
  records: PaxRecords;
  longName?: ByteString;
  longLink?: ByteString;
}

/**
 * Yields plain headers with their data and padding, as tar-stream takes them, and gives the frame of each header to
 * `onFrame` before it. The archive must be whole, and nothing but zeros may follow its end.
 * @throws OsupdError made by `refuse`, with the place of the header in question.
 */
export async function* tarFrames(
  input: ChunkReader,
  onFrame: (frame: TarFrame) => void,
  refuseArchive: Refuse,
): AsyncGenerator<Uint8Array> {
  const globals: PaxRecords = new Map();
  let extensions: Extensions | undefined;
  let start = 0;
  const refuse: Refuse = (what) => refuseArchive(`${what} (at byte ${start})`);
  try {
    for (;;) {
      start = input.position;
      const block = await input.read(BLOCK_BYTES);
      if (block.length === 0 && start === 0) throw refuseArchive('is empty');
      if (block.length === 0 || (block.length === BLOCK_BYTES && isZeroBlock(block))) break;
      if (block.length < BLOCK_BYTES) throw refuse('the archive is cut off in a header');
      const header = parseHeader(block, refuse);
      if (header.type === 'g') parsePaxRecords(await readExtension(input, header, refuse), globals, refuse);
      else if (isExtension(header.type)) {
        extensions ??= { records: new Map() };
        readInto(extensions, header.type, await readExtension(input, header, refuse), refuse);
      } else if (header.type === 'V') {
        // The label of a GNU archive or volume says nothing about the tree.
        await drain(copyData(input, header.size, refuse));
      } else {
        const records = new Map([...globals, ...(extensions?.records ?? [])]);
        const frame = await readFrame(input, block, header, records, refuse);
        onFrame({ ...frame, longName: extensions?.longName, longLink: extensions?.longLink });
        extensions = undefined;
        // Directories of GNU incremental archives carry a list of their names.
        if (header.type === 'D') await drain(copyData(input, header.size, refuse));
        yield plainHeader(block, frame.storedSize);
        yield* copyData(input, frame.storedSize, refuse);
      }
    }
    if (extensions !== undefined) throw refuse('an extended header has no entry after it');
    await expectZeros(input, refuseArchive);
  } finally {
    await input.close();
  }
}

function isExtension(type: string): boolean {
  return type === 'x' || type === 'X' || type === 'L' || type === 'K';
}

function readInto(extensions: Extensions, type: string, data: Uint8Array, refuse: Refuse): void {
  if (type === 'L') extensions.longName = untilNul(data);
  else if (type === 'K') extensions.longLink = untilNul(data);
  else parsePaxRecords(data, extensions.records, refuse);
}

function untilNul(data: Uint8Array): ByteString {
  const end = data.indexOf(0);
  return fromBytes(end < 0 ? data : data.subarray(0, end));
}

async function readExtension(input: ChunkReader, header: TarHeader, refuse: Refuse): Promise<Uint8Array> {
  if (header.size > MAX_TAR_EXTENSION_BYTES)
    throw refuse(`an extended header has more than ${MAX_TAR_EXTENSION_BYTES} bytes`);
  const padded = header.size + padding(header.size);
  const data = await input.read(padded);
  if (data.length < padded) throw refuse('the archive is cut off in an extended header');
  return data.subarray(0, header.size);
}

async function readFrame(
  input: ChunkReader,
  block: Uint8Array,
  header: TarHeader,
  records: PaxRecords,
  refuse: Refuse,
): Promise<Pick<TarFrame, 'header' | 'records' | 'storedSize' | 'sparse'>> {
  if (header.type === 'M' || header.type === 'N')
    throw refuse(`entries of type ${header.type} (parts of a multi-volume or very old GNU archive) are not read`);
  const storedSize = hasData(header.type) ? (paxNumber(records, 'size', refuse) ?? header.size) : 0;
  if (header.type !== 'S') return { header, records, storedSize, sparse: paxSparseMap(records, storedSize, refuse) };
  if (header.format !== 'gnu') throw refuse('a sparse file is not in a GNU header');
  // The view of the header goes when more is read.
  const { realSize, parts, more } = parseSparseHeader(block, refuse);
  for (let follows = more; follows; ) {
    const next = await input.read(BLOCK_BYTES);
    if (next.length < BLOCK_BYTES) throw refuse('the archive is cut off in a sparse map');
    const block = parseSparseBlock(next, refuse);
    parts.push(...block.parts);
    if (parts.length > MAX_TAR_SPARSE_PARTS) throw refuse(`a sparse file has more than ${MAX_TAR_SPARSE_PARTS} pieces`);
    follows = block.more;
  }
  checkSparseMap(parts, realSize, storedSize, refuse);
  return { header, records, storedSize, sparse: { parts, realSize } };
}

/**
 * Whether the size of an entry counts data that follows. Links, devices and directories may give one all the same: old
 * writers put the size of the file there. Types that are not known are files, as POSIX says.
 */
function hasData(type: string): boolean {
  return !'123456D'.includes(type);
}

/** The data with its padding. */
async function* copyData(input: ChunkReader, size: number, refuse: Refuse): AsyncGenerator<Uint8Array> {
  let left = size + padding(size);
  for await (const part of input.stretch(left)) {
    left -= part.length;
    yield part;
  }
  if (left > 0) throw refuse('the archive is cut off in the data of an entry');
}

async function drain(data: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const _ of data);
}

async function expectZeros(input: ChunkReader, refuse: Refuse): Promise<void> {
  for await (const part of input.rest())
    if (!isZeroBlock(part))
      throw refuse('something follows the end of the archive; joined archives must be given one by one');
}

function padding(size: number): number {
  return -size & (BLOCK_BYTES - 1);
}
