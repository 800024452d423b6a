/** Reads one small file that a user names by a path or by a URL. */
import { readFile, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { collect } from '../core/bytes.ts';
import { OsupdError, toOsupdError } from '../core/errors.ts';
import { MAX_METADATA_BYTES } from '../core/limits.ts';
import type { CliContext } from './context.ts';

/**
 * @param text an `http:` or `https:` URL, or a path.
 * @throws OsupdError `not-found`, `network`, `io`; `limit-exceeded`, `verification-failed` for more than 16 MiB.
 */
export async function readLocation(text: string, context: CliContext): Promise<Buffer> {
  const url = /^https?:/i.test(text) ? URL.parse(text) : null;
  if (url !== null) return readUrl(url, context);
  const path = resolve(context.workingDirectory, text);
  try {
    const { size } = await stat(path);
    if (size <= MAX_METADATA_BYTES) return await readFile(path);
    throw new OsupdError('limit-exceeded', `it has ${size} bytes; the limit is ${MAX_METADATA_BYTES}`, { where: text });
  } catch (error) {
    throw toOsupdError(error, text);
  }
}

async function readUrl(url: URL, context: CliContext): Promise<Buffer> {
  const { openSource } = await import('../transport/open.ts');
  const slash = url.pathname.lastIndexOf('/') + 1;
  const name = decodeURIComponent(url.pathname.slice(slash));
  url.pathname = url.pathname.slice(0, slash);
  const source = await openSource(url.href, {
    userAgent: `osupd/${context.version}`,
    environment: context.environment,
    random: Math.random,
  });
  try {
    return await collect(source.read(name, { maxBytes: MAX_METADATA_BYTES, signal: context.signal }));
  } finally {
    await source.close();
  }
}
