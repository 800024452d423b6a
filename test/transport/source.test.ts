import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { CountingSource } from '../../src/transport/counting.ts';
import { FileSource } from '../../src/transport/file.ts';
import { HttpSource } from '../../src/transport/http.ts';
import { MirroredSource } from '../../src/transport/mirrors.ts';
import { openSource } from '../../src/transport/open.ts';
import { RateLimitedSource } from '../../src/transport/rate-limit.ts';
import { RetryingSource } from '../../src/transport/retry.ts';
import { type Nginx, startNginx } from '../helpers/nginx.ts';
import { describeWith } from '../helpers/requirements.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';
import { startWebServer, type WebServer } from '../helpers/web-server.ts';
import { describeSource, FILES } from './conformance.ts';

const OPTIONS = { userAgent: 'osupd/test', random: Math.random };
const directory = temporaryDirectory();
let server: WebServer;

beforeAll(async () => {
  for (const [path, content] of FILES) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), content);
  }
  server = await startWebServer(FILES);
});

afterAll(() => server.close());

const http = () => new HttpSource(new URL(server.url), OPTIONS);

describeSource('a directory', async () => new FileSource(directory));

describeSource('a web server', async () => http());

describeSource('a web server that knows no ranges', async () => {
  const base = new URL('plain/', server.url);
  server.behaviour = (_request, response, path) => {
    if (!path.startsWith('plain/')) return false;
    const content = FILES.get(path.slice('plain/'.length));
    if (content === undefined) response.writeHead(404).end();
    else response.writeHead(200).end(content);
    return true;
  };
  return new HttpSource(base, OPTIONS);
});

describeSource('retries over a web server that cuts every second answer', async () => {
  let count = 0;
  server.behaviour = (request, response) => {
    if (request.headers['x-whole'] !== undefined || count++ % 2 === 1) return false;
    // The head and a part of the body, then the connection is gone.
    const content = FILES.get(decodeURIComponent((request.url ?? '').slice(1)));
    const from = Number(/^bytes=(\d+)/.exec(request.headers.range ?? '')?.[1] ?? 0);
    if (content === undefined || from > 0 || content.length < 100_000) return false;
    response.writeHead(200, { 'content-length': content.length });
    response.write(content.subarray(0, 70_000), () => response.destroy());
    return true;
  };
  return new RetryingSource(http(), { random: () => 0, wait: async () => {} });
});

describeSource(
  'mirrors, the first of them dead',
  async () => new MirroredSource([new HttpSource(new URL('http://127.0.0.1:9/'), OPTIONS), new FileSource(directory)]),
);

describeSource(
  'a rate limit',
  async () => new RateLimitedSource(new FileSource(directory), 1e6, { now: () => 0, wait: async () => {} }),
);

describeSource('a counter', async () => new CountingSource(new FileSource(directory)));

describeSource('a file: URL', () => openSource(`file://${directory}`, OPTIONS));

describeWith(['nginx'], 'with nginx', () => {
  let compressing: Nginx;
  let rangeless: Nginx;
  beforeAll(async () => {
    compressing = await startNginx(directory);
    rangeless = await startNginx(directory, 'max_ranges 0;');
  });
  afterAll(async () => {
    await compressing.close();
    await rangeless.close();
  });
  describeSource('nginx that compresses what it may', async () => new HttpSource(new URL(compressing.url), OPTIONS));
  describeSource('nginx without ranges', async () => new HttpSource(new URL(rangeless.url), OPTIONS));
});
