/** The entries of a tar stream, one after the other, in all common dialects. */
import { Readable } from 'node:stream';
import { extract, type Header } from 'tar-stream';
import { type ByteString, toText } from '../core/bytes.ts';
import { OsupdError, toOsupdError } from '../core/errors.ts';
import { MAX_TAR_HOLE_BYTES } from '../core/limits.ts';
import { ChunkReader } from './chunk-reader.ts';
import { type TarFrame, tarFrames } from './tar-frames.ts';
import type { Refuse } from './tar-header.ts';
import { paxNumber, paxText, paxTime, paxXattrs } from './tar-pax.ts';
import { expandSparse } from './tar-sparse.ts';
import type { Time } from './tree.ts';

export interface TarEntry {
  /** As the archive spells it: it may be absolute, have `.` and `..` in it and end with `/`. */
  readonly name: ByteString;
  readonly type: 'file' | 'directory' | 'symlink' | 'hardlink' | 'character' | 'block' | 'fifo';
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: Time;
  /** Of the expanded file; 0 for all that is not a file. */
  readonly size: number;
  /** Target of a symlink or hard link; empty for others. */
  readonly link: ByteString;
  readonly major: number;
  readonly minor: number;
  readonly xattrs: ReadonlyMap<ByteString, Uint8Array>;
  /** Just `size` bytes. What is not read before the next entry is asked for is passed over; a started read must be finished. */
  readonly content: AsyncIterable<Uint8Array>;
}

const TYPES: Readonly<Record<string, TarEntry['type']>> = {
  '1': 'hardlink',
  '2': 'symlink',
  '3': 'character',
  '4': 'block',
  '5': 'directory',
  '6': 'fifo',
  D: 'directory',
};

/**
 * The entries of a plain (not compressed) archive: v7, ustar, pax, GNU and star, with sparse files expanded.
 * tar-stream finds the names and divides the data; tar-frames.ts does before it what it cannot.
 * @throws OsupdError `invalid-tar` (made by `refuse`) for anything that is not right, wherever it is met; `limit-exceeded`.
 * Errors of `archive` itself pass through.
 */
export async function* readTarEntries(archive: AsyncIterable<Uint8Array>, refuse: Refuse): AsyncGenerator<TarEntry> {
  const frames: TarFrame[] = [];
  const plain = Readable.from(tarFrames(new ChunkReader(archive), (frame) => frames.push(frame), refuse));
  // Its type declarations do not know these options. Byte strings are what latin1 decodes; v7 headers have no magic.
  const options = { filenameEncoding: 'latin1', allowUnknownFormat: true };
  const entries = extract(options as Parameters<typeof extract>[0]);
  plain.on('error', (error) => entries.destroy(error));
  plain.pipe(entries);
  let holes = 0;
  try {
    for await (const data of entries) {
      const frame = frames.shift() as TarFrame;
      holes += frame.sparse === undefined ? 0 : frame.sparse.realSize - frame.storedSize;
      if (holes > MAX_TAR_HOLE_BYTES)
        throw new OsupdError('limit-exceeded', `sparse files expand to more than ${MAX_TAR_HOLE_BYTES} bytes of zeros`);
      yield makeEntry(frame, data.header, data as AsyncIterable<Uint8Array>, refuse);
      data.resume();
    }
  } catch (error) {
    throw toOsupdError(error);
  } finally {
    entries.destroy();
    plain.destroy();
  }
}

function makeEntry(frame: TarFrame, names: Header, data: AsyncIterable<Uint8Array>, refuseArchive: Refuse): TarEntry {
  const { header, records, sparse, storedSize } = frame;
  // A GNU long name wins over a pax path, as in libarchive and Go: no writer means to give both.
  const name =
    paxText(records, 'GNU.sparse.name', refuseArchive) ??
    frame.longName ??
    paxText(records, 'path', refuseArchive) ??
    names.name;
  const type = TYPES[header.type] ?? 'file';
  const refuse: Refuse = (what) => refuseArchive(`${toText(name)}: ${what}`);
  const isLink = type === 'symlink' || type === 'hardlink';
  return {
    name,
    type,
    mode: header.mode,
    uid: paxNumber(records, 'uid', refuse) ?? header.uid,
    gid: paxNumber(records, 'gid', refuse) ?? header.gid,
    mtime: paxTime(records, 'mtime', refuse) ?? { seconds: BigInt(header.mtime), nanoseconds: 0 },
    size: sparse?.realSize ?? storedSize,
    link: isLink ? (frame.longLink ?? paxText(records, 'linkpath', refuse) ?? names.linkname ?? '') : '',
    major: header.major,
    minor: header.minor,
    xattrs: paxXattrs(records, refuse),
    content: sparse === undefined ? data : expandSparse(data, storedSize, sparse, refuse),
  };
}
