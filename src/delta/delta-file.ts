/** Deltas as files of this machine. */
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { OsupdError, toOsupdError } from '../core/errors.ts';
import { syncDirectory } from '../sys/durable.ts';
import type { ReadRange } from '../transport/source.ts';
import { damagedDelta } from './damage.ts';
import { type DeltaHead, headSizeOf, readHead } from './head.ts';
import { PROLOGUE_BYTES } from './prologue.ts';
import { type DeltaJob, type DeltaSummary, writeDelta } from './write.ts';

/**
 * Writes a delta to a file, which is there when it is complete and durable, or not at all.
 * @throws OsupdError as {@link writeDelta}; `not-found`, `no-space`, `io`.
 */
export async function writeDeltaFile(path: string, job: Omit<DeltaJob, 'out' | 'scratch'>): Promise<DeltaSummary> {
  const scratch = dirname(path);
  const temporary = join(scratch, `.${basename(path)}.${process.pid}`);
  try {
    await using file = await open(temporary, 'w');
    const out = (chunk: Uint8Array) => file.writeFile(chunk);
    const summary = await writeDelta({ ...job, out, scratch });
    await file.sync();
    await rename(temporary, path);
    syncDirectory(scratch);
    return summary;
  } catch (error) {
    await rm(temporary, { force: true });
    throw toOsupdError(error, path);
  }
}

/** What is read at once of a file. */
const CHUNK_BYTES = 256 << 10;

export interface DeltaFile {
  readonly head: DeltaHead;
  /** Chunks of a range of the file; each is valid until the next one. */
  readonly read: (range: ReadRange) => AsyncIterable<Uint8Array>;
}

/** Reads the head of a delta file. @throws OsupdError `damaged-delta`, `unsupported`, `not-found`, `io`. */
export async function openDeltaFile(path: string): Promise<DeltaFile> {
  try {
    await using file = await open(path, 'r');
    const { size } = await file.stat();
    const headSize = headSizeOf(await readStart(file, PROLOGUE_BYTES, size));
    const head = readHead(await readStart(file, headSize, size));
    if (head.size + head.payloadSize !== size)
      throw damagedDelta(`the file has ${size} bytes, not the ${head.size + head.payloadSize} of its delta`, path);
    return { head, read: (range) => readRange(path, range) };
  } catch (error) {
    if (!(error instanceof OsupdError)) throw toOsupdError(error, path);
    // What is wrong with the bytes is said without their file.
    const { code, message, where = path, remedy, facts } = error;
    throw new OsupdError(code, message, { where, ...(remedy === undefined ? {} : { remedy }), facts, cause: error });
  }
}

/** All chunks are in one buffer: those of a stream would pile up until they come to tens of megabytes. */
async function* readRange(path: string, { offset, length }: ReadRange): AsyncGenerator<Uint8Array> {
  await using file = await open(path, 'r');
  const buffer = Buffer.allocUnsafeSlow(Math.min(length, CHUNK_BYTES));
  for (let done = 0; done < length; ) {
    const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, length - done), offset + done);
    if (bytesRead === 0) return;
    done += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

/** The first `length` bytes. */
async function readStart(file: FileHandle, length: number, size: number): Promise<Uint8Array> {
  if (length > size) throw damagedDelta(`the file has ${size} bytes, too few for the head of a delta`);
  const bytes = Buffer.alloc(length);
  await file.read(bytes, 0, length, 0);
  return bytes;
}
