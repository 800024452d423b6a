import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningServer, serveRepository } from '../../src/repository/serve.ts';
import { startNginx } from '../helpers/nginx.ts';
import { itWith } from '../helpers/requirements.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';
import { build, download, makeRepository, newPlace, openReader, type TestRepository, text } from './fixture.ts';

const base = temporaryDirectory();
let repository: TestRepository;
let server: RunningServer;
const CONTENT = 'abcdefghij';

beforeAll(async () => {
  repository = await makeRepository(newPlace(base));
  await build(repository.pool, 'os@1', { a: text('a', 5000) });
  await repository.publish('os@1', { full: true });
  await repository.offer('os@1');
  writeFileSync(join(repository.directory, 'deltas/ten.osd'), CONTENT);
  writeFileSync(join(repository.directory, 'deltas/none.osd'), '');
  server = await serveRepository({ directory: repository.directory, host: '127.0.0.1', port: 0 });
});

afterAll(() => server.close());

/** A request whose path is sent as it is. */
function get(path: string, headers: Record<string, string> = {}, method = 'GET') {
  const { hostname, port } = new URL(server.url);
  return new Promise<{ status: number; body: string; headers: Record<string, unknown> }>((resolve, reject) => {
    const sent = request({ hostname, port, path, method, headers, agent: false }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part) => parts.push(part));
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(parts).toString(), headers: response.headers }),
      );
    });
    sent.on('error', reject);
    sent.end();
  });
}

describe('the server', () => {
  it('serves files with their type, length, tag and lifetime', async () => {
    const timestamp = await get('/metadata/timestamp.json');
    expect(timestamp).toMatchObject({
      status: 200,
      headers: { 'content-type': 'application/json', 'cache-control': 'no-cache' },
    });
    expect(JSON.parse(timestamp.body).signed._type).toBe('timestamp');
    const ten = await get('/deltas/ten.osd');
    expect(ten).toMatchObject({ status: 200, body: CONTENT });
    expect(ten.headers).toMatchObject({
      'content-type': 'application/octet-stream',
      'content-length': '10',
      'accept-ranges': 'bytes',
      'cache-control': expect.stringContaining('immutable'),
    });
    expect(await get('/deltas/none.osd')).toMatchObject({ status: 200, body: '', headers: { 'content-length': '0' } });
  });

  it('answers HEAD like GET without the body', async () => {
    const [got, head] = [await get('/deltas/ten.osd'), await get('/deltas/ten.osd', {}, 'HEAD')];
    expect(head.body).toBe('');
    const { date: _, ...expected } = got.headers;
    expect(head.headers).toMatchObject(expected);
  });

  it.each([
    ['bytes=0-0', 206, 'a', 'bytes 0-0/10'],
    ['bytes=2-4', 206, 'cde', 'bytes 2-4/10'],
    ['bytes=7-', 206, 'hij', 'bytes 7-9/10'],
    ['bytes=-2', 206, 'ij', 'bytes 8-9/10'],
    ['bytes=-100', 206, CONTENT, 'bytes 0-9/10'],
    ['bytes=8-100', 206, 'ij', 'bytes 8-9/10'],
    ['bytes=10-', 416, '', 'bytes */10'],
    ['bytes=-0', 416, '', 'bytes */10'],
    ['bytes=4-2', 200, CONTENT, undefined],
    ['bytes=0-1,3-4', 200, CONTENT, undefined],
    ['bytes=x-', 200, CONTENT, undefined],
    ['lines=0-1', 200, CONTENT, undefined],
  ])('answers the range %s with %i', async (range, status, body, contentRange) => {
    const answer = await get('/deltas/ten.osd', { range });
    expect(answer).toMatchObject({ status, body });
    expect(answer.headers['content-range']).toBe(contentRange);
  });

  it('sends nothing again that has not changed', async () => {
    const { headers } = await get('/deltas/ten.osd');
    const etag = String(headers.etag);
    for (const tag of [etag, `W/${etag}`, `"x", ${etag}`, '*']) {
      expect(await get('/deltas/ten.osd', { 'if-none-match': tag })).toMatchObject({ status: 304, body: '' });
    }
    expect(await get('/deltas/ten.osd', { 'if-none-match': '"x"' })).toMatchObject({ status: 200 });
    expect(await get('/deltas/ten.osd', { range: 'bytes=1-1', 'if-range': etag })).toMatchObject({ status: 206 });
    expect(await get('/deltas/ten.osd', { range: 'bytes=1-1', 'if-range': '"x"' })).toMatchObject({ status: 200 });
  });

  it('serves nothing else', async () => {
    const outside = join(base, 'outside');
    writeFileSync(outside, 'secret');
    symlinkSync(outside, join(repository.directory, 'deltas/link.osd'));
    symlinkSync('ten.osd', join(repository.directory, 'deltas/inside.osd'));
    mkdirSync(join(repository.directory, '.pending'), { recursive: true });
    writeFileSync(join(repository.directory, '.pending/root.json'), '{}');
    const paths = [
      '/',
      '/metadata',
      '/metadata/',
      '/.lock',
      '/.pending/root.json',
      '/metadata/.x',
      '/nothing',
      '/deltas/ten.osd/x',
    ];
    const hostile = [
      '/../outside',
      '/deltas/../../outside',
      '/%2e%2e/outside',
      '/deltas/..%2f..%2foutside',
      '/deltas%2f..%2f..%2foutside',
    ];
    const strange = [
      '/deltas//ten.osd',
      '//deltas/ten.osd',
      '/deltas/ten.osd%00',
      '/%',
      '/deltas\\ten.osd',
      `/${'x'.repeat(5000)}`,
    ];
    for (const path of [...paths, ...hostile, ...strange, '/deltas/link.osd']) {
      expect([path, (await get(path)).status]).toEqual([path, 404]);
    }
    expect(await get('/deltas/inside.osd?x#y')).toMatchObject({ status: 200, body: CONTENT });
    expect(await get('/deltas/ten.osd', {}, 'POST')).toMatchObject({ status: 405, headers: { allow: 'GET, HEAD' } });
  });

  it('stops when it is told to, without waiting for connections that do nothing', async () => {
    const other = await serveRepository({ directory: repository.directory, host: '::1', port: 0 });
    expect(other.url).toMatch(/^http:\/\/\[::1\]:\d+\/$/);
    await (await fetch(`${other.url}deltas/ten.osd`)).text();
    await other.close();
    await expect(fetch(other.url)).rejects.toThrow();
  });

  it('says where it cannot listen', async () => {
    const port = Number(new URL(server.url).port);
    await expect(serveRepository({ directory: repository.directory, host: '127.0.0.1', port })).rejects.toMatchObject({
      code: 'io',
      where: `127.0.0.1:${port}`,
    });
    await expect(serveRepository({ directory: base, host: '127.0.0.1', port: 0 })).rejects.toMatchObject({
      code: 'not-found',
    });
  });
});

describe('the layout', () => {
  itWith(['nginx'], 'needs nothing but a web server of files', async () => {
    const nginx = await startNginx(repository.directory);
    try {
      for (const target of ['releases/os/1.json', 'channels/stable.json']) {
        const [there, here] = [openReader(nginx.url, repository, 'nginx'), openReader(server.url, repository, 'own')];
        expect(await download(there, target)).toEqual(await download(here, target));
      }
    } finally {
      await nginx.close();
    }
  });
});
