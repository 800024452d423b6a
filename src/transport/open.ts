/** From what people write (a URL, a path, several of them) to a source with retries, mirrors and a speed limit. */
import { isAbsolute } from 'node:path';
import { fileURLToPath } from 'node:url';
import { OsupdError } from '../core/errors.ts';
import { FileSource } from './file.ts';
import type { HttpOptions } from './http.ts';
import { MirroredSource } from './mirrors.ts';
import { RateLimitedSource } from './rate-limit.ts';
import { RetryingSource, type RetryOptions } from './retry.ts';
import type { Source } from './source.ts';

export interface OpenOptions extends HttpOptions, RetryOptions {
  /** Bytes a second for all reads together; unlimited by default. */
  readonly limitRate?: number;
}

/**
 * Opens a repository for reading: `http:`, `https:` and `file:` URLs or absolute paths, the preferred mirror first.
 * Nothing is read yet.
 * @throws OsupdError `usage` for an address that is none of these.
 */
export async function openSource(locations: string | readonly string[], options: OpenOptions): Promise<Source> {
  const list = typeof locations === 'string' ? [locations] : locations;
  const sources: Source[] = [];
  for (const location of list) sources.push(await openOne(location, options));
  const [first] = sources;
  if (first === undefined) throw new OsupdError('usage', 'no address of a repository was given');
  const steady = new RetryingSource(sources.length === 1 ? first : new MirroredSource(sources), options);
  return options.limitRate === undefined ? steady : new RateLimitedSource(steady, options.limitRate);
}

async function openOne(location: string, options: HttpOptions): Promise<Source> {
  if (isAbsolute(location)) return new FileSource(location);
  const url = URL.parse(location);
  if (url?.protocol === 'file:' && url.host === '') return new FileSource(fileURLToPath(url));
  if (url?.protocol === 'http:' || url?.protocol === 'https:') {
    const { HttpSource } = await import('./http.ts');
    return new HttpSource(url, options);
  }
  throw new OsupdError('usage', 'it is not the address of a repository', {
    where: location,
    remedy: 'give an http:, https: or file: URL, or an absolute path',
  });
}
