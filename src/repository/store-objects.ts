/**
 * Publishing objects: each compressed into `objects/ab/cdef….zst`. Done in batches: files are written in staging, one syncfs
 * brings a batch to disk, and only then they get their names; so a file that has its name is whole, whenever the power fails.
 */
import { createWriteStream, mkdirSync, renameSync } from 'node:fs';
import { type FileHandle, open, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { Digest } from '../core/digest.ts';
import { isSystemError, OsupdError } from '../core/errors.ts';
import type { Progress } from '../core/progress.ts';
import { FsverityHasher, fsverityDigest } from '../objects/fsverity.ts';
import type { OpenObject } from '../objects/pool.ts';
import { syncDirectory, syncFileSystem } from '../sys/durable.ts';
import type { ObjectReference } from '../tree/references.ts';
import { objectPath } from './layout.ts';
import { onAllCores } from './on-all-cores.ts';
import { compressBytes, compressStream, FRAME_HEADER_BYTES, frameContentSize } from './zstd.ts';

export interface StoreOptions {
  /** The repository's directory, and its directory for temporary files. */
  readonly directory: string;
  readonly staging: string;
  /** Where the objects are read from. */
  readonly source: { openObject(digest: Digest): Promise<OpenObject> };
  /** 1 (fastest) to 9 (smallest). */
  readonly effort: number;
  readonly progress: Progress;
  readonly signal?: AbortSignal | undefined;
}

/** Content up to this size is compressed in one piece; each core holds one such object and its compressed form. */
const MAX_WHOLE_BYTES = 16 << 20;

/** Content is read and compressed in pieces of this size above that. */
const PIECE_BYTES = 1 << 20;

/** A batch is committed when it has so many files or bytes: what a crash can cost. */
const BATCH_FILES = 4096;
const BATCH_BYTES = 256 << 20;

export interface StoredObjects {
  /** Length of each object's file, in the order of the objects. */
  readonly sizes: readonly number[];
  readonly added: number;
}

/**
 * Stores every object that is not there yet.
 * @throws OsupdError `damaged-store` when an object of the source is not what its name says
 */
export async function storeObjects(objects: readonly ObjectReference[], options: StoreOptions): Promise<StoredObjects> {
  const sizes: number[] = [];
  const missing: number[] = [];
  for (const [index, object] of objects.entries()) {
    const size = await storedSize(options.directory, object);
    sizes.push(size ?? 0);
    if (size === undefined) missing.push(index);
  }
  const step = 'compress objects';
  const total = missing.reduce((sum, index) => sum + (objects[index]?.size ?? 0), 0);
  if (missing.length > 0) options.progress({ kind: 'start', step, total, unit: 'bytes' });
  const batch = new Batch(options.directory);
  let done = 0;
  await onAllCores(missing, async (index) => {
    options.signal?.throwIfAborted();
    const object = objects[index] as ObjectReference;
    const temporary = join(options.staging, `${object.digest}.zst`);
    const length = await compressObject(object, temporary, options);
    sizes[index] = length;
    batch.add(temporary, objectPath(object.digest), length);
    done += object.size;
    options.progress({ kind: 'advance', step, done });
  });
  batch.commit();
  if (missing.length > 0) options.progress({ kind: 'finish', step, done });
  return { sizes, added: missing.length };
}

/** The length of an object's file, or undefined when it is not there or does not hold content of the object's size. */
export async function storedSize(directory: string, { digest, size }: ObjectReference): Promise<number | undefined> {
  let file: FileHandle;
  try {
    file = await open(join(directory, objectPath(digest)), 'r');
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return undefined;
    throw error;
  }
  try {
    const head = Buffer.alloc(FRAME_HEADER_BYTES);
    const { bytesRead } = await file.read(head, 0, head.length, 0);
    return frameContentSize(head.subarray(0, bytesRead)) === size ? (await file.stat()).size : undefined;
  } finally {
    await file.close();
  }
}

/** Files that wait for their names. */
class Batch {
  readonly #directory: string;
  #files: { readonly from: string; readonly to: string }[] = [];
  #bytes = 0;

  constructor(directory: string) {
    this.#directory = directory;
  }

  add(from: string, path: string, bytes: number): void {
    this.#files.push({ from, to: join(this.#directory, path) });
    this.#bytes += bytes;
    if (this.#files.length >= BATCH_FILES || this.#bytes >= BATCH_BYTES) this.commit();
  }

  commit(): void {
    if (this.#files.length === 0) return;
    syncFileSystem(this.#directory);
    const folders = new Set(this.#files.map(({ to }) => dirname(to)));
    for (const folder of folders) mkdirSync(folder, { recursive: true });
    for (const { from, to } of this.#files) renameSync(from, to);
    for (const folder of folders) syncDirectory(folder);
    syncDirectory(join(this.#directory, 'objects'));
    this.#files = [];
    this.#bytes = 0;
  }
}

/** Writes one object's compressed file; returns its length. */
async function compressObject(object: ObjectReference, path: string, options: StoreOptions): Promise<number> {
  await using content = await options.source.openObject(object.digest);
  if (content.size !== object.size) throw damaged(object, content);
  if (object.size <= MAX_WHOLE_BYTES) {
    const bytes = await content.read(0, object.size);
    if (fsverityDigest(bytes) !== object.digest) throw damaged(object, content);
    const frame = await compressBytes(bytes, options.effort);
    await writeFile(path, frame);
    return frame.length;
  }
  const hasher = new FsverityHasher();
  const pieces = readPieces(content, hasher);
  await pipeline(compressStream(pieces, object.size, options.effort), createWriteStream(path));
  if (hasher.digest() !== object.digest) throw damaged(object, content);
  return (await stat(path)).size;
}

async function* readPieces(content: OpenObject, hasher: FsverityHasher): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < content.size; offset += PIECE_BYTES) {
    const piece = await content.read(offset, Math.min(PIECE_BYTES, content.size - offset));
    hasher.update(piece);
    yield piece;
  }
}

function damaged({ digest }: ObjectReference, { path }: OpenObject): OsupdError {
  return new OsupdError('damaged-store', 'the object does not have the content of its name', {
    where: path,
    remedy: 'build the release again',
    facts: { object: digest },
  });
}
