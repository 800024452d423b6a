import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { type AddressInfo, connect, createServer as createTcpServer } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { OsupdError } from '../../src/core/errors.ts';
import { HttpSource } from '../../src/transport/http.ts';
import type { ReadOptions } from '../../src/transport/source.ts';
import { startNginx } from '../helpers/nginx.ts';
import { itWith } from '../helpers/requirements.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';
import { answer, startWebServer, type WebServer } from '../helpers/web-server.ts';
import { FILES, pattern, readAll } from './conformance.ts';

const CONTENT = FILES.get('objects/ab/cdef.zst')!;
const PATH = 'objects/ab/cdef.zst';
const HTTP_MODULE = new URL('../../src/transport/http.ts', import.meta.url).href;
let server: WebServer;

beforeAll(async () => {
  server = await startWebServer(FILES);
});
afterAll(() => server.close());
beforeEach(() => {
  server.log.length = 0;
  server.behaviour = () => false;
});

const open = (options = {}, url = server.url) => new HttpSource(new URL(url), { userAgent: 'osupd/1.2.3', ...options });

/** The error that a read ends with. */
async function failure(source: HttpSource, options: Partial<ReadOptions> = {}, path = PATH): Promise<OsupdError> {
  try {
    await readAll(source, path, { maxBytes: CONTENT.length, ...options });
  } catch (error) {
    if (error instanceof OsupdError) return error;
    throw error;
  }
  throw new Error('the read did not fail');
}

const misbehave = (act: (request: IncomingMessage, response: ServerResponse) => void) => {
  server.behaviour = (request, response) => {
    act(request, response);
    return true;
  };
};

describe('what a request says', () => {
  it('names osupd and asks for the bytes as they are stored', async () => {
    await readAll(open(), PATH, { range: { offset: 5, length: 10 }, maxBytes: 10 });
    expect(server.log[0]?.headers).toMatchObject({
      'user-agent': 'osupd/1.2.3',
      'accept-encoding': 'identity',
      range: 'bytes=5-14',
    });
  });

  it('sends name and password to the server they are for, and shows them nowhere', async () => {
    const other = await startWebServer(FILES);
    misbehave((_request, response) => response.writeHead(302, { location: new URL(PATH, other.url).href }).end());
    const url = server.url.replace('http://', 'http://me:secret@');
    const source = open({}, url);
    expect(await readAll(source, PATH, { maxBytes: CONTENT.length })).toHaveLength(CONTENT.length);
    expect(server.log[0]?.headers.authorization).toBe(`Basic ${Buffer.from('me:secret').toString('base64')}`);
    expect(other.log[0]?.headers.authorization).toBeUndefined();
    expect(source.location).not.toContain('secret');
    misbehave((_request, response) => response.writeHead(401).end());
    const error = await failure(source);
    expect(JSON.stringify([error.message, error.where, error.facts])).not.toContain('secret');
    await other.close();
  });

  it('reads below a directory whether or not the URL ends with a slash', async () => {
    for (const url of [`${server.url}objects`, `${server.url}objects/`]) {
      expect(await readAll(open({}, url), 'ab/cdef.zst', { maxBytes: CONTENT.length })).toHaveLength(CONTENT.length);
    }
  });

  it('uses one connection for reads that follow each other', async () => {
    let connections = 0;
    const counting = createServer((request, response) => {
      if (request.url === '/absent') response.writeHead(404).end('a page for people');
      else if (request.url === '/moved') response.writeHead(302, { location: '/x' }).end('a page for people');
      else answer(request, response, CONTENT);
    });
    counting.on('connection', () => connections++);
    await new Promise<void>((resolve) => counting.listen(0, '127.0.0.1', resolve));
    const source = open({}, `http://127.0.0.1:${(counting.address() as AddressInfo).port}/`);
    for (let round = 0; round < 30; round++) {
      await readAll(source, 'x', { range: { offset: round, length: 200_000 }, maxBytes: 200_000 });
      await readAll(source, 'moved', { maxBytes: CONTENT.length });
      expect((await failure(source, {}, 'absent')).code).toBe('not-found');
    }
    expect(connections).toBe(1);
    await source.close();
    counting.close();
  });

  it('goes through a proxy that the environment names', async () => {
    let proxied = 0;
    const proxy = createServer((request, response) => {
      proxied++;
      answer(request, response, CONTENT);
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    const environment = { http_proxy: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}` };
    const source = open({ environment }, 'http://updates.test/');
    expect(await readAll(source, PATH, { maxBytes: CONTENT.length })).toHaveLength(CONTENT.length);
    const direct = open({ environment: { ...environment, no_proxy: '127.0.0.1' } });
    await readAll(direct, PATH, { maxBytes: CONTENT.length });
    expect(proxied).toBe(1);
    await source.close();
    proxy.close();
  });
});

describe('versions', () => {
  it('notices that a thing changed between two reads', async () => {
    const version = {};
    const source = open();
    await readAll(source, PATH, { maxBytes: CONTENT.length, version });
    expect(version).toHaveProperty('etag');
    await readAll(source, PATH, { range: { offset: 10, length: 20 }, maxBytes: 20, version });
    expect(server.log[1]?.headers['if-range']).toMatch(/^"/);
    misbehave((request, response) => answer(request, response, pattern(CONTENT.length, 99)));
    const error = await failure(source, { range: { offset: 10, length: 20 }, version });
    expect(error).toMatchObject({ code: 'network', message: 'it changed on the server while it was read' });
  });
});

describe('redirects', () => {
  it('are followed with the range, to other servers too', async () => {
    const other = await startWebServer(FILES);
    misbehave((request, response) => {
      const hop = Number(new URL(request.url ?? '', server.url).searchParams.get('hop') ?? 0);
      const to = hop < 3 ? `?hop=${hop + 1}` : new URL(PATH, other.url).href;
      response.writeHead([301, 302, 307, 308][hop] ?? 303, { location: to }).end('moved');
    });
    const read = await readAll(open(), PATH, { range: { offset: 7, length: 9 }, maxBytes: 9 });
    expect(read.equals(CONTENT.subarray(7, 16))).toBe(true);
    expect(other.log[0]?.range).toBe('bytes=7-15');
    await other.close();
  });

  it.each([
    ['in a circle', '/again', 'more than 5 redirects'],
    ['to another protocol', 'file:///etc/passwd', 'it redirects to no web address'],
  ])('%s end as a network error', async (_, location, message) => {
    misbehave((_request, response) => response.writeHead(302, { location }).end());
    expect(await failure(open())).toMatchObject({ code: 'network', message, facts: { transient: false } });
    expect(server.log.length).toBeLessThanOrEqual(6);
  });
});

describe('a bad server', () => {
  it.each([
    [503, 'network', true],
    [500, 'network', true],
    [429, 'network', true],
    [400, 'network', false],
    [418, 'network', false],
    [404, 'not-found', undefined],
    [403, 'not-found', undefined],
    [410, 'not-found', undefined],
  ])('status %i means %s', async (status, code, transient) => {
    misbehave((_request, response) => response.writeHead(status, { 'retry-after': '7' }).end());
    const error = await failure(open());
    expect(error).toMatchObject({ code, facts: { status, ...(transient === undefined ? {} : { transient }) } });
    if (code === 'network') expect(error.facts.retryAfter).toBe(7);
  });

  it.each<[string, (response: ServerResponse) => void]>([
    [
      'a body that is cut',
      (response) =>
        response
          .writeHead(200, { 'content-length': CONTENT.length })
          .write(CONTENT.subarray(0, 9999), () => response.destroy()),
    ],
    [
      'a chunked body that is cut',
      (response) => response.writeHead(200).write(CONTENT.subarray(0, 9999), () => response.destroy()),
    ],
    ['a connection that is cut before the answer', (response) => response.destroy()],
    [
      'another range than was asked for',
      (response) => response.writeHead(206, { 'content-range': 'bytes 0-9/300000' }).end('0123456789'),
    ],
    ['a range without saying which', (response) => response.writeHead(206).end('0123456789')],
    [
      'several ranges at once',
      (response) => response.writeHead(206, { 'content-type': 'multipart/byteranges; boundary=x' }).end('--x--'),
    ],
    [
      'a body shorter than the range',
      (response) => response.writeHead(206, { 'content-range': 'bytes 100-199/300000' }).end('01234'),
    ],
    ['a compressed body', (response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end('\x1f\x8b')],
  ])('%s is a network error', async (_, act) => {
    misbehave((_request, response) => act(response));
    expect((await failure(open(), { range: { offset: 100, length: 100_000 } })).code).toBe('network');
  });

  it('that sends no HTTP is a network error', async () => {
    const tcp = createTcpServer((socket) => socket.end('SSH-2.0-OpenSSH_9.2\r\n'));
    await new Promise<void>((resolve) => tcp.listen(0, '127.0.0.1', resolve));
    const source = open({}, `http://127.0.0.1:${(tcp.address() as AddressInfo).port}/`);
    expect(await failure(source)).toMatchObject({ code: 'network', facts: { transient: true } });
    tcp.close();
  });

  it('that is not there is a network error that says so', async () => {
    const error = await failure(open({}, 'http://localhost:9/'));
    expect(error).toMatchObject({ code: 'network', message: 'no server listens there (ECONNREFUSED)' });
    expect(error.where).toBe(`http://localhost:9/${PATH}`);
  });

  it('with an endless body is left after the bytes that were allowed', async () => {
    misbehave((_request, response) => {
      const more = () => {
        while (!response.destroyed && response.write(CONTENT));
        if (!response.destroyed) response.once('drain', more);
      };
      more();
    });
    expect((await failure(open())).code).toBe('verification-failed');
    const first = await readAll(open(), PATH, { range: { offset: 1000, length: 50_000 }, maxBytes: 50_000 });
    expect(first.equals(CONTENT.subarray(1000, 51_000))).toBe(true);
  });

  it('that declares too much is refused before its body is read', async () => {
    misbehave((_request, response) => response.writeHead(200, { 'content-length': 1e15 }).write('x'));
    expect((await failure(open())).code).toBe('verification-failed');
  });

  it('cannot use up the connections with errors', async () => {
    const source = open({ connections: 2, idleTimeout: 100 });
    misbehave((_request, response) => response.writeHead(500).write(Buffer.alloc(100_000)));
    for (let round = 0; round < 5; round++) expect((await failure(source)).code).toBe('network');
    server.behaviour = () => false;
    expect(await readAll(source, PATH, { maxBytes: CONTENT.length })).toHaveLength(CONTENT.length);
  });

  it('that never answers is given up', async () => {
    misbehave(() => {});
    expect(await failure(open({ idleTimeout: 50 }))).toMatchObject({
      code: 'network',
      message: 'no answer within 0.05 s',
      facts: { transient: true },
    });
  });

  it('that falls silent in the middle is given up', async () => {
    misbehave((_request, response) =>
      response.writeHead(200, { 'content-length': CONTENT.length }).write(CONTENT.subarray(0, 500)),
    );
    expect((await failure(open({ idleTimeout: 50 }))).message).toContain('the transfer stalled');
  });

  it('that drips a byte now and then is given up', async () => {
    misbehave((_request, response) => {
      response.writeHead(200, { 'content-length': CONTENT.length });
      const drip = setInterval(() => response.write('x'), 5);
      response.on('close', () => clearInterval(drip));
    });
    expect((await failure(open({ idleTimeout: 100, minimumRate: 10_000 }))).message).toContain('the transfer stalled');
  });

  it('may be slow while the reader is slow too', async () => {
    const source = open({ idleTimeout: 60, minimumRate: 1e6 });
    let read = 0;
    for await (const chunk of source.read(PATH, { maxBytes: CONTENT.length })) {
      read += chunk.length;
      await new Promise((resolve) => setTimeout(resolve, 70));
    }
    expect(read).toBe(CONTENT.length);
  });

  it('that takes no connection is given up', async () => {
    // It listens, then never comes back to accept: when its queue is full, the kernel lets further connections hang.
    const program = `const s = require('net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
      require('fs').writeSync(1, String(s.address().port));
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
    })`;
    const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
    const port = Number(String(await new Promise((resolve) => child.stdout.once('data', resolve))));
    const queued = Array.from({ length: 8 }, () => connect({ port, host: '127.0.0.1' }).on('error', () => {}));
    await new Promise((resolve) => queued[0]?.once('connect', resolve));
    const source = open({ connectTimeout: 50 }, `http://127.0.0.1:${port}/`);
    expect((await failure(source)).message).toBe('no connection within 0.05 s');
    child.kill('SIGKILL');
    for (const socket of queued) socket.destroy();
  });
});

describe('the server of real life', () => {
  itWith(['nginx'], 'nginx serves byte ranges over one connection, uncompressed', async () => {
    const directory = temporaryDirectory();
    mkdirSync(`${directory}/metadata`);
    writeFileSync(`${directory}/metadata/timestamp.json`, FILES.get('metadata/timestamp.json')!);
    const nginx = await startNginx(directory);
    const source = open({}, nginx.url);
    for (let at = 0; at < 10; at++) {
      const range = { offset: at * 10, length: 100 };
      await readAll(source, 'metadata/timestamp.json', { range, maxBytes: 100 });
      await readAll(source, 'metadata/timestamp.json', { maxBytes: 1000 });
    }
    await source.close();
    // nginx writes its log after the answer, a moment later than a reader has it.
    await vi.waitFor(() => {
      const lines = readFileSync(nginx.log, 'utf8')
        .trim()
        .split('\n')
        .filter((line) => line.includes('timestamp'));
      expect(new Set(lines.map((line) => line.split(' ').at(-1))).size).toBe(1);
      expect(lines.filter((line) => line.includes(' 206 100 '))).toHaveLength(10);
      expect(lines.filter((line) => line.includes(' 200 560 '))).toHaveLength(10);
    });
    await nginx.close();
  });
});

describe('https', () => {
  itWith(['openssl'], 'wants a certificate that proves who the server is', async () => {
    const directory = temporaryDirectory();
    const [key, cert] = [`${directory}/key.pem`, `${directory}/cert.pem`];
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
    const request = ['req', '-x509', '-newkey', 'ed25519', '-nodes', '-days', '2', '-keyout', key, '-out', cert];
    execFileSync('openssl', [...request, ...subject], { stdio: 'ignore' });
    const secure = createSecureServer({ key: readFileSync(key), cert: readFileSync(cert) }, (asked, response) =>
      answer(asked, response, CONTENT),
    );
    await new Promise<void>((done) => secure.listen(0, 'localhost', done));
    const url = `https://localhost:${(secure.address() as AddressInfo).port}/`;
    const error = await failure(open({}, url));
    expect(error).toMatchObject({ code: 'network', facts: { transient: false } });
    expect(error.message).toMatch(/^the server cannot prove who it is: /);
    // Node takes further authorities from the environment, when it starts.
    const program = `import { HttpSource } from ${JSON.stringify(HTTP_MODULE)};
      let bytes = 0;
      const source = new HttpSource(new URL(${JSON.stringify(url)}), { userAgent: 'osupd/test' });
      for await (const chunk of source.read('x', { maxBytes: 1e9 })) bytes += chunk.length;
      console.log(bytes);
      await source.close();`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      env: { ...process.env, NODE_EXTRA_CA_CERTS: cert },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    expect(Number(await text(child.stdout))).toBe(CONTENT.length);
    secure.close();
  });
});
