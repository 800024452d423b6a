/** A real nginx over a directory, on a free port of the loopback. */
import { spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

export interface Nginx {
  readonly url: string;
  /** Path of the access log: one line a request, `METHOD PATH STATUS BYTES RANGE CONNECTION`. */
  readonly log: string;
  close(): Promise<void>;
}

/** @param extra directives for the server block */
export async function startNginx(directory: string, extra = ''): Promise<Nginx> {
  const work = mkdtempSync(join(tmpdir(), 'osupd-nginx-'));
  chmodSync(work, 0o755);
  const port = await freePort();
  const log = join(work, 'access.log');
  const user = process.getuid?.() === 0 ? 'user root;' : '';
  writeFileSync(
    join(work, 'nginx.conf'),
    `${user} worker_processes 1; daemon off; pid ${work}/pid; error_log ${work}/error.log;
events { worker_connections 256; }
http {
  log_format plain '$request_method $uri $status $body_bytes_sent $http_range $connection';
  access_log ${log} plain;
  client_body_temp_path ${work}/body; proxy_temp_path ${work}/proxy; fastcgi_temp_path ${work}/fastcgi;
  uwsgi_temp_path ${work}/uwsgi; scgi_temp_path ${work}/scgi;
  gzip on; gzip_min_length 0; gzip_types *;
  server { listen 127.0.0.1:${port}; root ${directory}; default_type application/octet-stream; ${extra} }
}
`,
  );
  const child = spawn('nginx', ['-p', work, '-c', join(work, 'nginx.conf'), '-e', join(work, 'error.log')], {
    stdio: 'ignore',
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const url = `http://127.0.0.1:${port}/`;
  for (let attempt = 0; !(await answers(url)); attempt++) {
    if (attempt > 200 || child.exitCode !== null) throw new Error('nginx did not start');
    await pause(25);
  }
  return {
    url,
    log,
    async close() {
      child.kill('SIGTERM');
      await ended;
      rmSync(work, { recursive: true, force: true });
    },
  };
}

async function answers(url: string): Promise<boolean> {
  try {
    await (await fetch(url)).arrayBuffer();
    return true;
  } catch {
    // Not listening yet.
    return false;
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
