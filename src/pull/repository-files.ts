/** Content-addressed files of a repository, checked against what signed documents say before anybody sees a byte (I6). */

import { collect } from '../core/bytes.ts';
import type { Digest } from '../core/digest.ts';
import { OsupdError } from '../core/errors.ts';
import { MAX_DELTA_HEAD_BYTES, MAX_IMAGE_BYTES, MAX_METADATA_BYTES } from '../core/limits.ts';
import { fsverityDigest } from '../objects/fsverity.ts';
import type { DeltaEntry } from '../repository/delta-index.ts';
import { imagePath, objectPath, objectSizesPath } from '../repository/layout.ts';
import { decodeObjectSizes } from '../repository/object-sizes.ts';
import { isStored, type Release, type StoredFile } from '../repository/release.ts';
import { decompressBytes, decompressStream } from '../repository/zstd.ts';
import { placeOf, type ReadRange, type Source } from '../transport/source.ts';
import type { ObjectReference } from '../tree/references.ts';
import type { DownloadCache } from './download-cache.ts';

/** The most that zstd adds to content that does not compress, with its frame (ZSTD_COMPRESSBOUND, and room for small ones). */
function mostStoredBytes(size: number): number {
  return size + Math.ceil(size / 256) + 1024;
}

export class RepositoryFiles {
  readonly #source: Source;
  readonly #cache: DownloadCache;
  readonly #signal: AbortSignal | undefined;

  constructor(source: Source, cache: DownloadCache, signal: AbortSignal | undefined) {
    this.#source = source;
    this.#cache = cache;
    this.#signal = signal;
  }

  /** Prologue, header and image section of a delta. @throws OsupdError `verification-failed`, `not-found`, `network` */
  async head(entry: DeltaEntry): Promise<Buffer> {
    const { size, sha256 } = entry.head;
    if (size > MAX_DELTA_HEAD_BYTES) throw this.#bad(entry.file, `a head of ${size} bytes is more than osupd reads`);
    return this.#cached(`${sha256}.head`, isContent({ length: size, sha256 }), async () => {
      const bytes = await this.#whole(entry.file, size, { offset: 0, length: size });
      if (!isStored(bytes, { length: size, sha256 })) throw this.#bad(entry.file, 'its head has another SHA-256');
      return bytes;
    });
  }

  /** The bytes of a release's image. @throws OsupdError `verification-failed`, `not-found`, `network` */
  image(release: Release): Promise<Buffer> {
    const { digest, size, stored } = release.image;
    const path = imagePath(digest);
    return this.#cached(`${digest}.image`, isImage(digest), async () => {
      const frame = await this.#whole(path, stored.length);
      if (!isStored(frame, stored)) throw this.#bad(path, 'it has another length or SHA-256');
      return this.#unpackImage(path, frame, digest, size);
    });
  }

  /** The bytes of an image of which only the digest is known. @throws as {@link image} */
  async imageByDigest(digest: Digest): Promise<Buffer> {
    const path = imagePath(digest);
    return this.#unpackImage(path, await this.#whole(path, MAX_IMAGE_BYTES), digest, MAX_IMAGE_BYTES);
  }

  /** The stored sizes of a release's objects, in the order of the image. @throws as {@link image} */
  async objectSizes(release: Release): Promise<number[]> {
    const { sizes, count } = release.objects;
    const path = objectSizesPath(release.image.digest);
    if (sizes.length > MAX_METADATA_BYTES) throw this.#bad(path, `${sizes.length} bytes are more than osupd reads`);
    const bytes = await this.#cached(`${sizes.sha256}.sizes`, isContent(sizes), async () => {
      const fetched = await this.#whole(path, sizes.length);
      if (!isStored(fetched, sizes)) throw this.#bad(path, 'it has another length or SHA-256');
      return fetched;
    });
    return decodeObjectSizes(bytes, count, placeOf(this.#source, path));
  }

  /**
   * The content of an object, as it comes: whoever takes it checks the digest and takes no more than its size.
   * @param size of the content. @param stored bytes of its file, where they are known
   */
  async *objectContent(digest: Digest, size: number, stored = mostStoredBytes(size)): AsyncGenerator<Uint8Array> {
    const path = objectPath(digest);
    const frame = this.#chunks(path, stored);
    let failure: unknown;
    const watched = async function* () {
      try {
        yield* frame;
      } catch (error) {
        failure = error;
        throw error;
      }
    };
    try {
      yield* decompressStream(watched());
    } catch (error) {
      // The decompressor passes on failures of the download; anything else is its own.
      throw failure ?? this.#bad(path, `it is no zstd frame (${(error as Error).message})`, error);
    }
  }

  /** The error for an object whose content was refused by whoever took it: with its place in the repository. */
  refusalOf({ digest }: ObjectReference, error: unknown): unknown {
    const isRefusal = error instanceof OsupdError && error.code === 'verification-failed' && error.where === digest;
    return isRefusal ? this.#bad(objectPath(digest), error.message, error) : error;
  }

  /** A range of a delta's file, counted from its start. */
  range(entry: DeltaEntry, range: ReadRange): AsyncIterable<Uint8Array> {
    return this.#chunks(entry.file, range.length, range);
  }

  async #unpackImage(path: string, frame: Buffer, digest: Digest, size: number): Promise<Buffer> {
    const bytes = await decompressBytes(frame, size, (why, cause) =>
      this.#bad(path, `it is no zstd frame (${why})`, cause),
    );
    if (!isImage(digest)(bytes)) throw this.#bad(path, 'the image in it has another digest');
    return bytes;
  }

  async #cached(name: string, check: (bytes: Buffer) => boolean, fetch: () => Promise<Buffer>): Promise<Buffer> {
    const kept = this.#cache.read(name, check);
    if (kept !== undefined) return kept;
    const bytes = await fetch();
    this.#cache.keep(name, bytes);
    return bytes;
  }

  #whole(path: string, maxBytes: number, range?: ReadRange): Promise<Buffer> {
    return collect(this.#chunks(path, maxBytes, range));
  }

  async *#chunks(path: string, maxBytes: number, range?: ReadRange): AsyncGenerator<Uint8Array> {
    const options = {
      maxBytes,
      ...(range === undefined ? {} : { range }),
      ...(this.#signal === undefined ? {} : { signal: this.#signal }),
    };
    // A source may use its buffers again; what goes on from here may be kept.
    for await (const chunk of this.#source.read(path, options)) yield Buffer.from(chunk);
  }

  #bad(path: string, why: string, cause?: unknown): OsupdError {
    return new OsupdError('verification-failed', `it is not what was signed: ${why}`, {
      where: placeOf(this.#source, path),
      remedy: 'try again later or another mirror, or ask the operator of the repository to run osupd repo verify',
      ...(cause === undefined ? {} : { cause }),
    });
  }
}

function isContent(stored: StoredFile): (bytes: Buffer) => boolean {
  return (bytes) => isStored(bytes, stored);
}

function isImage(digest: Digest): (bytes: Buffer) => boolean {
  return (bytes) => fsverityDigest(bytes) === digest;
}
