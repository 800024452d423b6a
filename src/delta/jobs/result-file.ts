/** The file of one job's result. docs/formats/record.md has the format. */
import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { fromBytes, toBytes } from '../../core/bytes.ts';
import { OsupdError } from '../../core/errors.ts';
import type { RecordJob } from './record-job.ts';

const MAGIC = toBytes('osupdrc1');
/** Bytes of the magic, the job's name and the length of the codec's name. */
const FIXED_BYTES = MAGIC.length + 32 + 1;
const CHECKSUM_BYTES = 32;

/** A record is hardly larger than its content: what is more than twice as large is none, and is not read. */
const MAX_GROWTH = 2;
/** Beside that; names of codecs are short. */
const MAX_OVERHEAD_BYTES = 4096;

/** The chunks of a result's file. */
export async function* encodeResult(
  job: string,
  codec: string,
  stored: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256');
  const start = Buffer.concat([MAGIC, Buffer.from(job, 'hex'), Buffer.of(codec.length), toBytes(codec)]);
  hash.update(start);
  yield start;
  for await (const chunk of stored) {
    hash.update(chunk);
    yield chunk;
  }
  yield hash.digest();
}

export interface ResultFile {
  readonly codec: string;
  /** The record's bytes. At their end it throws OsupdError `damaged-delta` when the checksum is another. */
  readonly stored: AsyncIterable<Uint8Array>;
}

/** @throws OsupdError `damaged-delta` for a file that is no result of this job; errors of node:fs. */
export async function openResult(path: string, { job, bytes }: RecordJob): Promise<ResultFile> {
  const status = await stat(path);
  const { size } = status;
  const damaged = (what: string) => new OsupdError('damaged-delta', what, { where: path });
  if (!status.isFile()) throw damaged('this is no file');
  if (size > MAX_GROWTH * bytes + MAX_OVERHEAD_BYTES) throw damaged('the file is too large for the result of the job');
  if (size < FIXED_BYTES + CHECKSUM_BYTES) throw damaged('the file is too short for the result of a job');
  const fixed = await readStart(path, FIXED_BYTES);
  const nameEnd = FIXED_BYTES + fixed[FIXED_BYTES - 1]!;
  const end = size - CHECKSUM_BYTES;
  if (!fixed.subarray(0, MAGIC.length).equals(MAGIC)) throw damaged('the file is no result of a job');
  if (fixed.toString('hex', MAGIC.length, FIXED_BYTES - 1) !== job) throw damaged('the file is of another job');
  if (nameEnd > end) throw damaged('the file is too short for the result of a job');
  const start = await readStart(path, nameEnd);
  const hash = createHash('sha256').update(start);
  return { codec: fromBytes(start.subarray(FIXED_BYTES)), stored: readStored(path, nameEnd, end, hash, damaged) };
}

async function* readStored(
  path: string,
  begin: number,
  end: number,
  hash: Hash,
  damaged: (what: string) => OsupdError,
): AsyncGenerator<Uint8Array> {
  let at = begin;
  const checksum: Buffer[] = [];
  for await (const chunk of createReadStream(path, { start: begin }) as AsyncIterable<Buffer>) {
    const content = chunk.subarray(0, Math.max(0, end - at));
    at += chunk.length;
    checksum.push(chunk.subarray(content.length));
    hash.update(content);
    if (content.length > 0) yield content;
  }
  if (!hash.digest().equals(Buffer.concat(checksum))) throw damaged('the file is damaged: its checksum is another');
}

/** The first `length` bytes; fewer where the file has become shorter. */
async function readStart(path: string, length: number): Promise<Buffer> {
  const chunks = await Array.fromAsync(createReadStream(path, { end: length - 1 }) as AsyncIterable<Buffer>);
  return Buffer.concat(chunks);
}
