/**
 * `repo serve`: the repository over HTTP, for trying out. Static files only: GET and HEAD, one range, ETag. What a real server
 * needs (TLS, limits, logs) is the business of a real server; the layout works from any.
 */
import { constants } from 'node:fs';
import { type FileHandle, open, realpath } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { join, sep } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { isSystemError, OsupdError, toOsupdError } from '../core/errors.ts';
import { TIMESTAMP_PATH } from './layout.ts';
import { requireRepository } from './view.ts';

export interface ServeOptions {
  readonly directory: string;
  /** Address and port to listen on; port 0 takes a free one. */
  readonly host: string;
  readonly port: number;
  /** Told of every request when it has been answered. */
  readonly onRequest?: (request: AnsweredRequest) => void;
}

export interface AnsweredRequest {
  readonly method: string;
  readonly path: string;
  readonly status: number;
  /** Bytes of the body that were sent. */
  readonly bytes: number;
}

export interface RunningServer extends AsyncDisposable {
  /** `http://127.0.0.1:8080/` */
  readonly url: string;
  /** Takes no more connections and waits for those that are being answered. */
  close(): Promise<void>;
}

/**
 * Starts the server.
 * @throws OsupdError `not-found` when there is no repository, `io` when the address cannot be listened on
 */
export async function serveRepository(options: ServeOptions): Promise<RunningServer> {
  await requireRepository(options.directory);
  const root = await realpath(options.directory);
  const server = createServer((request, response) => void answer(root, request, response, options));
  await listen(server, options);
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeIdleConnections();
    });
  return { url: urlOf(server), close, [Symbol.asyncDispose]: close };
}

function listen(server: Server, { host, port }: ServeOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(toOsupdError(error, `${host}:${port}`)));
    server.listen(port, host, () => resolve());
  });
}

function urlOf(server: Server): string {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new OsupdError('internal', 'the server has no address');
  const host = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  return `http://${host}:${address.port}/`;
}

async function answer(
  root: string,
  request: IncomingMessage,
  response: ServerResponse,
  { onRequest }: ServeOptions,
): Promise<void> {
  let bytes = 0;
  try {
    bytes = await respond(root, request, response);
  } catch (error) {
    // The client went away, or a disk failed in the middle of a body: all that can still be said is an ended connection.
    if (!response.headersSent && !isSystemError(error, 'ERR_STREAM_PREMATURE_CLOSE')) end(response, 500);
    else response.destroy();
  }
  onRequest?.({ method: request.method ?? '', path: request.url ?? '', status: response.statusCode, bytes });
}

/** Returns the number of body bytes. */
async function respond(root: string, request: IncomingMessage, response: ServerResponse): Promise<number> {
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('Allow', 'GET, HEAD');
    return end(response, 405);
  }
  const path = safePath(request.url ?? '');
  const file = path === undefined ? undefined : await openFile(root, path);
  if (path === undefined || file === undefined) return end(response, 404);
  try {
    return await sendFile(path, file, request, response);
  } finally {
    await file.close();
  }
}

/** The path below the root that a request names; undefined for what is never served: names with a leading dot among it. */
function safePath(url: string): string | undefined {
  let path: string;
  try {
    path = decodeURIComponent(url.split(/[?#]/, 1)[0] ?? '');
  } catch {
    // Not valid percent encoding: no file has this name.
    return undefined;
  }
  const parts = path.slice(1).split('/');
  const isServed = (part: string) => part !== '' && !part.startsWith('.') && !/[\0\\]/.test(part);
  return path.startsWith('/') && parts.every(isServed) ? parts.join('/') : undefined;
}

/** Opens a regular file below the root, also when symbolic links lead there, but not when they lead out. */
async function openFile(root: string, path: string): Promise<FileHandle | undefined> {
  let file: FileHandle | undefined;
  try {
    const real = await realpath(join(root, path));
    if (!real.startsWith(`${root}${sep}`)) return undefined;
    file = await open(real, constants.O_RDONLY | constants.O_NONBLOCK);
    if ((await file.stat()).isFile()) return file;
  } catch (error) {
    if (!['ENOENT', 'ENOTDIR', 'ENAMETOOLONG', 'ELOOP', 'EACCES'].some((code) => isSystemError(error, code)))
      throw error;
  }
  await file?.close();
  return undefined;
}

async function sendFile(
  path: string,
  file: FileHandle,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<number> {
  const { size, mtimeNs, mtime } = await file.stat({ bigint: true });
  const total = Number(size);
  const etag = `"${total.toString(16)}-${mtimeNs.toString(16)}"`;
  response.setHeader('ETag', etag);
  response.setHeader('Last-Modified', mtime.toUTCString());
  response.setHeader('Accept-Ranges', 'bytes');
  response.setHeader('Cache-Control', path === TIMESTAMP_PATH ? 'no-cache' : 'public, max-age=31536000, immutable');
  response.setHeader('X-Content-Type-Options', 'nosniff');
  if (matches(request.headers['if-none-match'], etag)) return end(response, 304);

  const condition = request.headers['if-range'];
  const wanted = condition === undefined || condition === etag ? request.headers.range : undefined;
  const range = parseRange(wanted, total);
  if (range === 'unsatisfiable') {
    response.setHeader('Content-Range', `bytes */${total}`);
    return end(response, 416);
  }
  const { start, length } = range ?? { start: 0, length: total };
  if (range !== undefined) response.setHeader('Content-Range', `bytes ${start}-${start + length - 1}/${total}`);
  response.setHeader('Content-Type', contentType(path));
  response.setHeader('Content-Length', length);
  response.statusCode = range === undefined ? 200 : 206;
  if (request.method === 'HEAD' || length === 0) {
    response.end();
    return 0;
  }
  await pipeline(file.createReadStream({ start, end: start + length - 1, autoClose: false }), response);
  return length;
}

/** RFC 9110, section 13.1.2: weak comparison with each of the tags. */
function matches(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false;
  return header.split(',').some((tag) => tag.trim() === '*' || tag.trim().replace(/^W\//, '') === etag);
}

/**
 * One byte range (RFC 9110, section 14.1.2). Undefined for none, and for what may be ignored: other units, several ranges,
 * malformed ones.
 */
function parseRange(
  header: string | undefined,
  total: number,
): { start: number; length: number } | 'unsatisfiable' | undefined {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header?.trim() ?? '');
  if (match === null || (match[1] === '' && match[2] === '')) return undefined;
  const [, first = '', last = ''] = match;
  if (first === '') {
    const length = Math.min(Number(last), total);
    return length === 0 ? 'unsatisfiable' : { start: total - length, length };
  }
  const start = Number(first);
  if (last !== '' && Number(last) < start) return undefined;
  if (start >= total) return 'unsatisfiable';
  const end = last === '' ? total - 1 : Math.min(Number(last), total - 1);
  return { start, length: end - start + 1 };
}

function contentType(path: string): string {
  if (path.endsWith('.json')) return 'application/json';
  if (path.endsWith('.zst')) return 'application/zstd';
  return 'application/octet-stream';
}

/** Ends a response that has no body. */
function end(response: ServerResponse, status: number): 0 {
  response.statusCode = status;
  if (status !== 304) {
    // A 404 may become a file with the next publish, such as the next root.
    response.setHeader('Cache-Control', 'no-cache');
    response.setHeader('Content-Length', 0);
  }
  response.end();
  return 0;
}
