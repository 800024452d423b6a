/**
 * A repository on a web server: HTTP/1.1 with ranges (RFC 9110 section 14), redirects, keep-alive, proxies from the
 * environment. Bytes arrive as the server stores them: no content coding is asked for and none is undone.
 */
import { Agent, type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { OsupdError } from '../core/errors.ts';
import { MAX_REDIRECTS } from '../core/limits.ts';
import { badStatus, failedRequest } from './http-errors.ts';
import { checkHead, endsThere } from './http-head.ts';
import { checkPath, networkError, placeOf, type ReadOptions, type Source, stopped, tooLong } from './source.ts';

export interface HttpOptions {
  /** The User-Agent header: `osupd/VERSION`. */
  readonly userAgent: string;
  /** Where HTTP_PROXY, HTTPS_PROXY and NO_PROXY are looked up; without it no proxy is used. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** Milliseconds until a connection is made. */
  readonly connectTimeout?: number;
  /** Milliseconds in which the server must send its answer's head, and then {@link minimumRate} bytes a second. */
  readonly idleTimeout?: number;
  /** Bytes a second below which a transfer counts as stalled; 0 lets any trickle pass. */
  readonly minimumRate?: number;
  /** Connections to one server at a time. */
  readonly connections?: number;
}

const CONNECT_TIMEOUT = 20_000;
const IDLE_TIMEOUT = 30_000;
/** Half of what a 2G modem brings; below it an update would take days, and a server that drips does harm. */
const MINIMUM_RATE = 1000;
const CONNECTIONS = 8;
/** The body of an answer without content, a page for people, that is read to keep the connection. */
const MAX_ERROR_PAGE_BYTES = 16 * 1024;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);

export class HttpSource implements Source {
  readonly location: string;
  readonly #base: URL;
  readonly #options: Required<Omit<HttpOptions, 'environment'>>;
  readonly #agents = new Map<string, Promise<Agent>>();
  readonly #environment: HttpOptions['environment'];

  /** @param base http: or https: URL of the repository's root; a name and password in it are sent as Basic authorization. */
  constructor(base: URL, options: HttpOptions) {
    this.#base = new URL(base);
    if (!this.#base.pathname.endsWith('/')) this.#base.pathname += '/';
    this.location = withoutSecrets(this.#base);
    this.#environment = options.environment;
    this.#options = {
      userAgent: options.userAgent,
      connectTimeout: options.connectTimeout ?? CONNECT_TIMEOUT,
      idleTimeout: options.idleTimeout ?? IDLE_TIMEOUT,
      minimumRate: options.minimumRate ?? MINIMUM_RATE,
      connections: options.connections ?? CONNECTIONS,
    };
  }

  async *read(path: string, options: ReadOptions): AsyncGenerator<Uint8Array> {
    checkPath(path);
    const where = placeOf(this, path);
    if (options.range?.length === 0) return;
    const url = new URL(path.split('/').map(encodeURIComponent).join('/'), this.#base);
    url.search = this.#base.search;
    let response: IncomingMessage | undefined;
    try {
      response = await this.#get(url, options);
      if (response.statusCode !== 200 && response.statusCode !== 206) {
        await this.#drain(response, where);
        if (response.statusCode === 416 && endsThere(response, options)) return;
        throw badStatus(response, where);
      }
      const { skip, length } = checkHead(response, options, where);
      yield* this.#body(response, skip, length, options, where);
    } catch (error) {
      if (options.signal?.aborted) throw stopped(options.signal);
      throw error instanceof OsupdError ? error : failedRequest(error, where);
    } finally {
      // An answer that was read to its end leaves its connection to the next request; of others the rest is unwanted.
      if (response?.readableEnded === false) response.destroy();
    }
  }

  async close(): Promise<void> {
    for (const agent of this.#agents.values()) (await agent).destroy();
    this.#agents.clear();
  }

  /** Follows redirects to an answer that is not one. */
  async #get(start: URL, options: ReadOptions): Promise<IncomingMessage> {
    let url = start;
    for (let redirects = 0; ; redirects++) {
      const response = await this.#send(url, options);
      const location = response.headers.location;
      if (!REDIRECTS.has(response.statusCode ?? 0) || location === undefined) return response;
      const where = withoutSecrets(url);
      await this.#drain(response, where);
      const refuse = (why: string) => networkError(why, where, { transient: false });
      if (redirects === MAX_REDIRECTS) throw refuse(`more than ${MAX_REDIRECTS} redirects`);
      const next = URL.parse(location, url);
      if (next === null || !['http:', 'https:'].includes(next.protocol)) throw refuse('it redirects to no web address');
      if (url.protocol === 'https:' && next.protocol === 'http:') throw refuse('it redirects from https to plain http');
      // Credentials stay with the server that they were given for.
      next.username = next.host === url.host ? url.username : '';
      next.password = next.host === url.host ? url.password : '';
      url = next;
    }
  }

  async #send(url: URL, options: ReadOptions): Promise<IncomingMessage> {
    const agent = await this.#agent(url.protocol);
    const request = url.protocol === 'https:' ? (await import('node:https')).request : httpRequest;
    for (;;) {
      const { signal } = options;
      const sent = request(url, {
        agent,
        headers: this.#headers(options),
        ...(signal === undefined ? {} : { signal }),
      });
      try {
        return await this.#answer(sent, withoutSecrets(url));
      } catch (error) {
        // A server may close an idle connection just when it is used again; that says nothing about the server.
        if (sent.reusedSocket && (error as NodeJS.ErrnoException).code === 'ECONNRESET') continue;
        throw error;
      }
    }
  }

  #headers({ range, version }: ReadOptions): Record<string, string> {
    const headers: Record<string, string> = { 'user-agent': this.#options.userAgent, 'accept-encoding': 'identity' };
    if (range !== undefined) {
      const last = range.length === Number.POSITIVE_INFINITY ? '' : range.offset + range.length - 1;
      headers.range = `bytes=${range.offset}-${last}`;
      // If-Range takes strong validators only (RFC 9110 section 13.1.5).
      if (version?.etag?.startsWith('"')) headers['if-range'] = version.etag;
    }
    return headers;
  }

  #answer(sent: ClientRequest, where: string): Promise<IncomingMessage> {
    const { connectTimeout, idleTimeout } = this.#options;
    return new Promise((resolve, reject) => {
      let timer: NodeJS.Timeout | undefined;
      const allow = (milliseconds: number, what: string) => {
        clearTimeout(timer);
        const seconds = milliseconds / 1000;
        timer = setTimeout(
          () => sent.destroy(networkError(`${what} within ${seconds} s`, where, { transient: true })),
          milliseconds,
        );
      };
      sent.on('socket', (socket) => {
        if (!socket.connecting) return allow(idleTimeout, 'no answer');
        allow(connectTimeout, 'no connection');
        socket.once('connect', () => allow(idleTimeout, 'no answer'));
      });
      sent.on('response', (response) => {
        clearTimeout(timer);
        resolve(response);
      });
      sent.on('error', (error) => {
        clearTimeout(timer);
        reject(error);
      });
      sent.end();
    });
  }

  /** Reads the page that comes with an error or redirect, so that its connection can be used again; a long one is left. */
  async #drain(response: IncomingMessage, where: string): Promise<void> {
    let bytes = 0;
    for await (const chunk of this.#chunks(response, where)) {
      bytes += chunk.length;
      if (bytes > MAX_ERROR_PAGE_BYTES) return;
    }
  }

  /** The wanted bytes of an answer: `skip` bytes are dropped first, then `length` are yielded (Infinity: all). */
  async *#body(
    response: IncomingMessage,
    skip: number,
    length: number,
    { maxBytes }: ReadOptions,
    where: string,
  ): AsyncGenerator<Uint8Array> {
    let toSkip = skip;
    let done = 0;
    for await (const whole of this.#chunks(response, where)) {
      const chunk = whole.subarray(Math.min(toSkip, whole.length), toSkip + length - done);
      toSkip -= Math.min(toSkip, whole.length);
      done += chunk.length;
      if (done > maxBytes) throw tooLong(maxBytes, where);
      if (chunk.length > 0) yield chunk;
      // A server that ignores ranges, or does not know an end, goes on; nobody wants that part.
      if (done === length && !response.complete) return;
    }
    if (toSkip > 0 || (done < length && length !== Number.POSITIVE_INFINITY)) {
      throw networkError(`it ended after ${done} of ${length} bytes`, where, { transient: true });
    }
  }

  /** The chunks of a body. Fails when the time spent waiting brings fewer bytes than the minimum; time that the consumer takes does not count. */
  async *#chunks(response: IncomingMessage, where: string): AsyncGenerator<Buffer> {
    const { idleTimeout, minimumRate } = this.#options;
    const needed = Math.max(1, (idleTimeout / 1000) * minimumRate);
    const chunks = response[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    let waited = 0;
    let received = 0;
    try {
      for (;;) {
        const began = performance.now();
        const stall = setTimeout(() => response.destroy(stalled(received, idleTimeout, where)), idleTimeout - waited);
        const { done, value } = await chunks.next().finally(() => clearTimeout(stall));
        if (done) return;
        waited += performance.now() - began;
        received += value.length;
        if (received >= needed) {
          waited = 0;
          received = 0;
        }
        if (waited >= idleTimeout) throw stalled(received, idleTimeout, where);
        yield value;
      }
    } finally {
      await chunks.return?.();
    }
  }

  #agent(protocol: string): Promise<Agent> {
    let agent = this.#agents.get(protocol);
    if (agent === undefined) {
      agent = this.#makeAgent(protocol);
      this.#agents.set(protocol, agent);
    }
    return agent;
  }

  async #makeAgent(protocol: string): Promise<Agent> {
    const options = {
      keepAlive: true,
      maxSockets: this.#options.connections,
      ...(this.#environment === undefined ? {} : { proxyEnv: { ...this.#environment } }),
    };
    // TLS is loaded only where it is used.
    return protocol === 'https:' ? new (await import('node:https')).Agent(options) : new Agent(options);
  }
}

function stalled(received: number, milliseconds: number, where: string): OsupdError {
  return networkError(`the transfer stalled: ${received} bytes in ${milliseconds / 1000} s`, where, {
    transient: true,
  });
}

function withoutSecrets(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}`;
}
