/** What the head of an answer says of its content: which bytes come, and whether they are the ones that were asked for. */
import type { IncomingMessage } from 'node:http';
import { networkError, type ReadOptions, tooLong } from './source.ts';

/** Checks the headers of an answer with content; says how many bytes to drop and how many to yield. */
export function checkHead(
  response: IncomingMessage,
  { range, maxBytes, version }: ReadOptions,
  where: string,
): { skip: number; length: number } {
  const status = response.statusCode ?? 0;
  const refuse = (why: string, transient = false) => networkError(why, where, { transient, facts: { status } });
  const coding = response.headers['content-encoding'] ?? 'identity';
  // `Content-Encoding: zstd` on a .zst file is the file's own form, not something that was done on the way.
  if (coding !== 'identity' && !(coding === 'zstd' && where.endsWith('.zst'))) {
    throw refuse(`the server changes it on the way (Content-Encoding: ${coding})`);
  }
  if (version !== undefined) {
    const etag = response.headers.etag;
    if (version.etag !== undefined && etag !== undefined && etag !== version.etag) {
      throw refuse('it changed on the server while it was read', true);
    }
    if (etag !== undefined) version.etag = etag;
  }
  const declared = Number(response.headers['content-length'] ?? Number.NaN);
  const offset = range?.offset ?? 0;
  const length = range?.length ?? Number.POSITIVE_INFINITY;
  if (status === 206) {
    const [, first, last] = /^bytes (\d+)-(\d+)\//.exec(response.headers['content-range'] ?? '') ?? [];
    if (range === undefined || Number(first) !== offset)
      throw refuse('the server sent another range than was asked for');
    if (length !== Number.POSITIVE_INFINITY && Number(last) + 1 !== offset + length) {
      throw refuse(`it ends at byte ${Number(last) + 1}; bytes up to ${offset + length} were asked for`);
    }
    if (declared > maxBytes && length > maxBytes) throw tooLong(maxBytes, where);
    return { skip: 0, length };
  }
  if (declared - offset > maxBytes && length > maxBytes) throw tooLong(maxBytes, where);
  if (declared < offset || (declared < offset + length && length !== Number.POSITIVE_INFINITY)) {
    throw refuse(`it ends at byte ${declared}; bytes up to ${offset + length} were asked for`);
  }
  return { skip: offset, length };
}

/** True for an answer that says: the thing ends exactly where the range to its end begins. */
export function endsThere(response: IncomingMessage, { range }: ReadOptions): boolean {
  const size = /^bytes \*\/(\d+)$/.exec(response.headers['content-range'] ?? '')?.[1];
  return range?.length === Number.POSITIVE_INFINITY && Number(size) === range.offset;
}
