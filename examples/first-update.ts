/**
 * One real update, end to end, in a temporary directory: `npm run first-update`.
 *
 * Two versions of real packages become images, a signed repository is served over HTTP, a device pulls the difference, and
 * (as root) the running stack is switched under a reader. Every step is a command that you can type; it is printed first.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { realTrees } from './debian-packages.ts';
import { startReader } from './reader.ts';

const OSUPD = resolve(import.meta.dirname, '../bin/osupd.js');
const work = mkdtempSync(join(tmpdir(), 'osupd-first-update-'));
const place = (name: string) => join(work, name);
const asRoot = process.getuid?.() === 0;

function heading(text: string): void {
  console.log(`\n\u001b[1m${text}\u001b[0m`);
}

/** Runs one osupd command line in the work directory; prints it, its output and what it took. */
function osupd(...args: string[]): string {
  console.log(`  $ osupd ${args.map((arg) => (/^[\w@=:./,-]+$/.test(arg) ? arg : `'${arg}'`)).join(' ')}`);
  const began = process.hrtime.bigint();
  const text = execFileSync(process.execPath, [OSUPD, ...args], {
    cwd: work,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const seconds = Number(process.hrtime.bigint() - began) / 1e9;
  for (const line of text.trimEnd().split('\n')) console.log(`    ${line}`);
  console.log(`    (${seconds.toFixed(2)} s)`);
  return text;
}

/** Starts `osupd repo serve` and gives its address once it says it. */
async function serve(repository: string): Promise<{ url: string; server: ChildProcess }> {
  console.log(`  $ osupd repo serve ${repository} --listen 127.0.0.1:0 &`);
  const server = spawn(process.execPath, [OSUPD, 'repo', 'serve', repository, '--listen', '127.0.0.1:0'], {
    cwd: work,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  for await (const line of createInterface({ input: server.stdout })) {
    const url = /http:\/\/[\w.:[\]-]+\/?/.exec(line)?.[0];
    if (url !== undefined) {
      console.log(`    ${line}`);
      return { url, server };
    }
  }
  throw new Error('osupd repo serve ended without an address');
}

async function firstUpdate(): Promise<void> {
  heading('1. Two versions of a real tree, and an application');
  const trees = realTrees(place('trees'));
  console.log(
    `  ${trees.origin}\n  os 1: ${trees.os[0].label}\n  os 2: ${trees.os[1].label}\n  app:  ${trees.app.label}`,
  );
  const relative = (path: string) => path.slice(work.length + 1);

  heading('2. Trees become images over one pool of objects');
  osupd('build', ...trees.os[0].sources.map(relative), '--name', 'os', '--version', '1', '--pool', 'pool');
  osupd('build', ...trees.os[1].sources.map(relative), '--name', 'os', '--version', '2', '--pool', 'pool');
  osupd('build', ...trees.app.sources.map(relative), '--name', 'kiosk', '--version', '1', '--pool', 'pool');

  heading('3. A signed repository with the first version');
  osupd('repo', 'init', 'repo', '--keys', 'keys');
  osupd('repo', 'publish', 'repo', '--keys', 'keys', '--pool', 'pool', 'os@1', 'kiosk@1');
  osupd('repo', 'channel', 'repo', '--keys', 'keys', 'stable', 'os@1', 'kiosk@1');
  const { url, server } = await serve('repo');

  try {
    heading('4. A device takes it: the application stacked over the operating system');
    const device = ['--root', 'device'];
    const stack = ['--stack', 'system', '--image', 'kiosk', '--image', 'os', '--mountpoint', place('mounted')];
    osupd('init', ...device, '--url', url, '--trust', 'repo/metadata/1.root.json', '--channel', 'stable', ...stack);
    osupd('pull', ...device);
    if (asRoot) osupd('switch', ...device);

    heading('5. The second version is published, with a delta from the first');
    osupd('repo', 'publish', 'repo', '--keys', 'keys', '--pool', 'pool', 'os@2');
    osupd('repo', 'delta', 'repo', '--keys', 'keys', '--from', 'os@1', '--to', 'os@2');
    osupd('repo', 'channel', 'repo', '--keys', 'keys', 'stable', 'os@2');

    heading('6. The device pulls the difference');
    osupd('check', ...device);
    osupd('pull', ...device);
    osupd('diff', ...device, '--stat');

    if (asRoot) {
      heading('7. The running stack is switched under a reader, and back, and forth');
      const reader = await startReader(join(place('mounted'), trees.probe));
      osupd('switch', ...device);
      osupd('rollback', ...device);
      osupd('rollback', ...device);
      console.log(`  the reader: ${await reader.stop()}`);
    } else {
      heading('7. The switch is left out: mounting needs root');
      console.log('  Everything is in place for it; as root, `osupd switch --root device` would do it.');
    }

    heading('8. What there is now');
    osupd('status', ...device);
    osupd('fsck', ...device);
    osupd('gc', ...device);
  } finally {
    server.kill();
  }
}

try {
  await firstUpdate();
  heading('Done.');
} catch (error) {
  // A command that failed has said why itself.
  heading(`Stopped: ${(error as Error).message.split('\n')[0]}`);
  process.exitCode = 1;
} finally {
  if (asRoot) {
    // Whatever happened, nothing stays mounted below the temporary directory.
    for (const line of readFileSync('/proc/self/mountinfo', 'utf8').split('\n').reverse()) {
      const mountpoint = line.split(' ')[4];
      if (mountpoint?.startsWith(`${work}/`)) execFileSync('umount', ['-l', mountpoint]);
    }
  }
  rmSync(work, { recursive: true, force: true });
}
