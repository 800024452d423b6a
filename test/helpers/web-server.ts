/** A web server for tests: serves a directory with ranges and ETags, keeps a log, and misbehaves when told to. */
import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

export interface LoggedRequest {
  /** Decoded path without the leading `/`. */
  readonly path: string;
  readonly range: string | undefined;
  readonly headers: IncomingMessage['headers'];
  status: number;
  /** Bytes of the body that were handed to the socket. */
  bytes: number;
  /** True when the whole answer was sent. */
  complete: boolean;
}

/** Answers a request in a way of its own and returns true, or returns false to let the server answer. */
export type Behaviour = (request: IncomingMessage, response: ServerResponse, path: string) => boolean;

export interface WebServer {
  readonly url: string;
  readonly log: LoggedRequest[];
  behaviour: Behaviour;
  close(): Promise<void>;
}

/** Starts a server over a directory, or over files in memory, on a free port of the loopback. */
export async function startWebServer(files: string | ReadonlyMap<string, Buffer>): Promise<WebServer> {
  const log: LoggedRequest[] = [];
  const read = (path: string): Buffer | undefined => {
    if (typeof files !== 'string') return files.get(path);
    const full = join(files, path);
    return statSync(full, { throwIfNoEntry: false })?.isFile() ? readFileSync(full) : undefined;
  };
  const server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url ?? '', 'http://test').pathname.slice(1));
    const entry: LoggedRequest = {
      path,
      range: request.headers.range,
      headers: request.headers,
      status: 0,
      bytes: 0,
      complete: false,
    };
    log.push(entry);
    response.on('close', () => {
      entry.status = response.statusCode;
      entry.complete = response.writableFinished;
    });
    const { write, end } = response;
    const count = (chunk: unknown) => {
      if (typeof chunk === 'string' || chunk instanceof Uint8Array) entry.bytes += Buffer.byteLength(chunk);
    };
    response.write = ((...args: Parameters<typeof write>) => {
      count(args[0]);
      return write.apply(response, args);
    }) as typeof write;
    response.end = ((...args: Parameters<typeof end>) => {
      count(args[0]);
      return end.apply(response, args);
    }) as typeof end;
    if (web.behaviour(request, response, path)) return;
    answer(request, response, read(path));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const web: WebServer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    log,
    behaviour: () => false,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return web;
}

/** Answers properly: 200, 206, 404 or 416. */
export function answer(request: IncomingMessage, response: ServerResponse, content: Buffer | undefined): void {
  if (content === undefined) {
    response.writeHead(404).end('no such thing\n');
    return;
  }
  const etag = `"${createHash('sha256').update(content).digest('hex').slice(0, 16)}"`;
  const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
  const ifRange = request.headers['if-range'];
  if (range === null || (ifRange !== undefined && ifRange !== etag)) {
    response.writeHead(200, { 'content-length': content.length, etag }).end(content);
    return;
  }
  const first = Number(range[1]);
  const last = range[2] === '' ? content.length - 1 : Math.min(Number(range[2]), content.length - 1);
  if (first > last) {
    response.writeHead(416, { 'content-range': `bytes */${content.length}`, etag }).end();
    return;
  }
  response
    .writeHead(206, {
      'content-length': last + 1 - first,
      'content-range': `bytes ${first}-${last}/${content.length}`,
      etag,
    })
    .end(content.subarray(first, last + 1));
}
