/** Gives the TUF client its downloads from a source, bounded, and keeps what went wrong in our own words. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Fetcher } from 'tuf-js';
import { DownloadHTTPError } from 'tuf-js/dist/error.js';
import { collect } from '../core/bytes.ts';
import { OsupdError, toOsupdError } from '../core/errors.ts';
import { TIMESTAMP_PATH } from '../repository/layout.ts';
import { placeOf, type Source } from '../transport/source.ts';
import { refusal } from './trust-errors.ts';

/** The TUF client wants URLs; below this one are the paths of the source. */
export const SOURCE_URL = 'http://source.invalid/';

const NEXT_ROOT = /^metadata\/\d+\.root\.json$/;

export class MetadataFetcher implements Fetcher {
  /** The last failure of a download; the client hides it in a text of its own. */
  failure: OsupdError | undefined;
  /** Path of the last file that was asked for: what a failed check is most likely about. */
  lastPath = '';
  readonly #source: Source;
  readonly #directory: string;
  readonly #signal: AbortSignal | undefined;

  /** @param directory for the client's temporary files */
  constructor(source: Source, directory: string, signal: AbortSignal | undefined) {
    this.#source = source;
    this.#directory = directory;
    this.#signal = signal;
  }

  async downloadBytes(url: string, maxLength: number): Promise<Buffer> {
    const path = pathOf(url);
    this.lastPath = path;
    try {
      return await this.#read(path, maxLength);
    } catch (error) {
      const failure = toOsupdError(error);
      // A root that is not there is how the client learns that it has the newest (TUF 1.0, section 5.3.3).
      if (failure.code === 'not-found' && NEXT_ROOT.test(path)) throw new DownloadHTTPError('no newer root', 404);
      this.failure = inItsPlace(path, failure);
      throw this.failure;
    }
  }

  async downloadFile<T>(url: string, maxLength: number, handler: (file: string) => Promise<T>): Promise<T> {
    const file = join(this.#directory, 'download');
    await writeFile(file, await this.downloadBytes(url, maxLength));
    return handler(file);
  }

  #read(path: string, maxBytes: number): Promise<Buffer> {
    const options = { maxBytes, ...(this.#signal === undefined ? {} : { signal: this.#signal }) };
    return collect(copies(this.#source.read(path, options)));
  }

  /** Where the last file is, for messages. */
  get lastPlace(): string {
    return this.lastPath === '' ? this.#source.location : placeOf(this.#source, this.lastPath);
  }
}

async function* copies(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) yield Buffer.from(chunk);
}

function pathOf(url: string): string {
  return url.slice(SOURCE_URL.length).split('/').map(decodeURIComponent).join('/');
}

/** What a failed download of a file of the metadata means. */
function inItsPlace(path: string, failure: OsupdError): OsupdError {
  if (failure.code === 'not-found') return missing(path, failure);
  if (failure.code !== 'verification-failed') return failure;
  return refusal(failure, path, failure.where ?? path);
}

function missing(path: string, cause: OsupdError): OsupdError {
  const where = cause.where === undefined ? {} : { where: cause.where };
  if (path === TIMESTAMP_PATH) {
    return new OsupdError('not-found', 'there is no repository', {
      ...where,
      remedy: 'check the url in the configuration',
      cause,
    });
  }
  return new OsupdError('damaged-repository', 'the signed metadata names this file, but it is not there', {
    ...where,
    remedy: 'try again later, or ask the operator of the repository to run osupd repo verify',
    cause,
  });
}
