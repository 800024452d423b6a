/** Archives as they come: plain, gzip, zstd or xz, told apart by their first bytes and never by a name. */
import * as zlib from 'node:zlib';
import { OsupdError, toOsupdError } from '../core/errors.ts';
import { MAX_ZSTD_WINDOW_LOG } from '../core/limits.ts';
import { through } from '../core/through.ts';
import { ChunkReader } from './chunk-reader.ts';
import type { Refuse } from './tar-header.ts';
import { decodeZstdPortably } from './zstd-portable.ts';

/** Bytes that a decoder gives at a time. */
const CHUNK_BYTES = 1 << 18;

const MAGIC_BYTES = 10;

/** What is asked of node:zlib: a runtime may have been built without zstd. */
type Runtime = Partial<Pick<typeof zlib, 'createZstdDecompress'>>;

type Decode = (compressed: AsyncIterable<Uint8Array>, refuse: Refuse, runtime: Runtime) => AsyncIterable<Uint8Array>;

/** A zstd frame, or one that decoders skip (`P*M` to `_*M`). */
const ZSTD_MAGIC = [
  '\x28\xb5\x2f\xfd',
  ...Array.from({ length: 16 }, (_, n) => `${String.fromCharCode(0x50 + n)}*M\x18`),
];

const FORMATS: readonly { readonly name: string; readonly magic: readonly string[]; readonly decode?: Decode }[] = [
  { name: 'gzip', magic: ['\x1f\x8b'], decode: (data) => through(data, zlib.createGunzip({ chunkSize: CHUNK_BYTES })) },
  { name: 'zstd', magic: ZSTD_MAGIC, decode: zstd },
  { name: 'xz', magic: ['\xfd7zXZ\0'], decode: xz },
  { name: 'bzip2', magic: Array.from({ length: 9 }, (_, n) => `BZh${n + 1}1AY&SY`) },
  { name: 'lzip', magic: ['LZIP\x01'] },
  { name: 'lz4', magic: ['\x04\x22\x4d\x18'] },
];

/**
 * The archive without its compression; several gzip members, zstd frames or xz streams after each other are one.
 * @throws OsupdError made by `refuse` for damaged data and for compressions that are not read; errors of `archive` itself
 * pass through.
 */
export async function* decompress(
  archive: AsyncIterable<Uint8Array>,
  refuse: Refuse,
  runtime: Runtime = zlib,
): AsyncGenerator<Uint8Array> {
  const reader = new ChunkReader(ownErrors(archive));
  try {
    const start = await reader.read(MAGIC_BYTES);
    const text = Buffer.from(start).toString('latin1');
    const all = (async function* () {
      yield start;
      yield* reader.rest();
    })();
    const format = FORMATS.find(({ magic }) => magic.some((start) => text.startsWith(start)));
    if (format === undefined) yield* all;
    else if (format.decode === undefined)
      throw refuse(`is compressed with ${format.name}; give it plain or as gzip, zstd or xz`);
    else {
      const unreadable: Refuse = (why) => refuse(`its ${format.name} data cannot be read: ${why}`);
      yield* decoded(format.decode(all, unreadable, runtime), unreadable);
    }
  } finally {
    await reader.close();
  }
}

/** Errors of the source become ours here, so that all others are the decoder's. */
async function* ownErrors(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* source;
  } catch (error) {
    throw toOsupdError(error);
  }
}

async function* decoded(data: AsyncIterable<Uint8Array>, unreadable: Refuse): AsyncGenerator<Uint8Array> {
  try {
    yield* data;
  } catch (error) {
    if (error instanceof OsupdError) throw error;
    throw unreadable(reason(error));
  }
}

/** What the xz decoder gives as a number (xz-embedded, enum xz_ret). */
const XZ_REASONS: Readonly<Record<string, string>> = {
  3: 'not enough memory',
  4: 'a dictionary of more than 64 MiB',
  6: 'a checksum or filter that is not supported',
  7: 'damaged',
  8: 'cut off or damaged',
};

function reason(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const number = /^get_next_output failed with error code (\d+)/.exec(message)?.[1];
  return number === undefined ? message : (XZ_REASONS[number] ?? `error ${number}`);
}

/** zstd of the runtime, or in WebAssembly where it has none. */
function zstd(data: AsyncIterable<Uint8Array>, refuse: Refuse, runtime: Runtime): AsyncIterable<Uint8Array> {
  const { createZstdDecompress } = runtime;
  if (createZstdDecompress === undefined) return decodeZstdPortably(data, refuse);
  const params = { [zlib.constants.ZSTD_d_windowLogMax]: MAX_ZSTD_WINDOW_LOG };
  return through(data, createZstdDecompress({ chunkSize: CHUNK_BYTES, params }));
}

async function* xz(data: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const { XzReadableStream } = (await import('xz-decompress')).default;
  // The library decodes one stream at a time and waits for its end; `yield*` cancels it when the reader stops early.
  yield* new XzReadableStream(ReadableStream.from(data));
}
